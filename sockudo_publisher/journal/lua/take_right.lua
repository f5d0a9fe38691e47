#!lua flags=allow-oom
-- take_right: become the one of an app's workers who may do something (probe, hold the canaries), or stay it.
-- KEYS[1] {app}:RIGHT  string  the token of who may; RIGHT is probe or canary_holder
-- ARGV[1] token   ARGV[2] ttl_ms
-- Returns {EMPTY}: another one may | {DONE}
-- A right without an end counts as free: it would keep all others from it for ever.
if redis.call('PTTL', KEYS[1]) >= 0 and redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return {0} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1}
