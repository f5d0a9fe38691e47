#!lua flags=allow-oom
-- relayout: make one step of a change of the number of lanes, unless another process has made it.
-- KEYS[1] {app}:lanes  string  the layout (layout.py)
-- ARGV[1] the layout that was read   ARGV[2] the next one
-- Returns {MISMATCH}: the layout has changed since it was read | {DONE}
local lanes, before, after = KEYS[1], ARGV[1], ARGV[2]
if redis.call('GET', lanes) ~= before then return {-2} end
redis.call('SET', lanes, after)
return {1}
