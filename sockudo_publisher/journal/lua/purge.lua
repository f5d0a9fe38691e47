#!lua flags=allow-oom
-- purge: a person deletes a dead letter, or all of the lane.
-- KEYS[1] {app:lane}:dead       stream  dead letters of the lane
-- KEYS[2] {app:lane}:dead_size  hash    bytes, aged
-- ARGV[1] the dead letter's id; '': all of them
-- Returns {DONE, how many there were}
-- include counters
-- include dead
if ARGV[1] == '' then
  redis.call('DEL', KEYS[2])
  return {1, redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)}
end
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then return {1, 0} end
remove_letter(KEYS[1], KEYS[2], entry)
return {1, 1}
