#!lua flags=allow-oom
-- drop_right: give a right back, so that another worker may take it at once.
-- KEYS[1] {app}:RIGHT  string  the owner's token; RIGHT is probe, canary_holder, dead_reporter or due_holder
-- ARGV[1] token
-- Returns {MISMATCH}: another worker has the right, or no worker has it | {DONE}
local right, token = KEYS[1], ARGV[1]
if redis.pcall('GET', right) ~= token then return {-2} end
redis.call('DEL', right)
return {1}
