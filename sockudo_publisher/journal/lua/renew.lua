#!lua flags=allow-oom
-- renew: extend the lease, or the right to probe.
-- KEYS[1] lease or {app}:probe  string  the holder's token
-- ARGV[1] token   ARGV[2] ttl_ms
-- Returns {LOST} | {DONE}
local lease, token, ttl_ms = KEYS[1], ARGV[1], ARGV[2]
if redis.pcall('GET', lease) ~= token then return {-1} end
redis.call('PEXPIRE', lease, ttl_ms)
return {1}
