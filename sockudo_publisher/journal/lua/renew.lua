#!lua flags=allow-oom
-- renew: keep the lease a while longer.
-- KEYS[1] lease  string  the holder's token
-- ARGV[1] token   ARGV[2] ttl_ms
-- Returns {LOST} | {DONE}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1}
