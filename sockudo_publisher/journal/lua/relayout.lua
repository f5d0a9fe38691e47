#!lua flags=allow-oom
-- relayout: one step of a change of the number of lanes, unless somebody was faster.
-- KEYS[1] {app}:lanes  string  the layout (layout.py)
-- ARGV[1] the layout that was read   ARGV[2] the next one
-- Returns {MISMATCH}: it is another by now | {DONE}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-2} end
redis.call('SET', KEYS[1], ARGV[2])
return {1}
