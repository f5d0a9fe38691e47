#!lua flags=allow-oom
-- take_right: take or renew a right that one worker of an app has at a time: to probe, to hold the
-- canaries, to report, or to store what is due.
-- KEYS[1] {app}:RIGHT  string  the owner's token; RIGHT is probe, canary_holder, dead_reporter or due_holder
-- ARGV[1] token   ARGV[2] ttl_ms
-- Returns {EMPTY}: another worker has the right | {DONE}
-- A right without an expiry counts as free: otherwise no worker could ever take it.
local right, token, ttl_ms = KEYS[1], ARGV[1], ARGV[2]
if redis.call('PTTL', right) >= 0 and redis.pcall('GET', right) ~= token then return {0} end
redis.call('SET', right, token, 'PX', ttl_ms)
return {1}
