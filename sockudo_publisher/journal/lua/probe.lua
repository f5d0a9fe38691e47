#!lua flags=allow-oom
-- probe: become the one who asks whether the server is back, or stay it.
-- KEYS[1] {app}:probe  string  the prober's token
-- ARGV[1] token   ARGV[2] ttl_ms
-- Returns {EMPTY}: another one asks | {DONE}
local prober = redis.call('GET', KEYS[1])
if prober and prober ~= ARGV[1] then return {0} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1}
