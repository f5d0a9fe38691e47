#!lua flags=allow-oom
-- end_probe: whoever asked whether the server is back does not any more.
-- KEYS[1] {app}:probe  string  the prober's token
-- ARGV[1] token; '': whoever it is, ended by hand
-- Returns {MISMATCH}: another one asks, or nobody | {DONE}
if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-2} end
redis.call('DEL', KEYS[1])
return {1}
