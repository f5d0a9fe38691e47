#!lua flags=allow-oom
-- purge: delete a dead letter, or all of the lane, on a person's command.
-- KEYS[1] {app:lane}:dead       stream  dead letters of the lane
-- KEYS[2] {app:lane}:dead_size  hash    bytes, aged
-- ARGV[1] the dead letter's id; '': all of them
-- Returns {DONE, how many were deleted}
-- include counters
-- include dead
local dead, dead_size, id = KEYS[1], KEYS[2], ARGV[1]
if id == '' then
  redis.call('DEL', dead_size)
  return {1, redis.call('XTRIM', dead, 'MAXLEN', 0)}
end
local entry = redis.call('XRANGE', dead, id, id)[1]
if not entry then return {1, 0} end
remove_letter(dead, dead_size, entry)
return {1, 1}
