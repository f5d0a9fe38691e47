#!lua flags=allow-oom
-- drop_right: give a right back, so that another worker may take it at once.
-- KEYS[1] {app}:RIGHT  string  the token of who may; RIGHT is probe or canary_holder
-- ARGV[1] token
-- Returns {MISMATCH}: another one may, or nobody | {DONE}
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return {-2} end
redis.call('DEL', KEYS[1])
return {1}
