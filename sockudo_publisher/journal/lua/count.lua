#!lua flags=allow-oom
-- count: add to a counter of a lane. It is a script because a full Redis refuses the bare command.
-- KEYS[1] {app:lane}:counts  hash  counters by reason
-- ARGV[1] reason   ARGV[2] number
-- Returns {DONE}
-- include counters
local counts, reason, number = KEYS[1], ARGV[1], ARGV[2]
tally(counts, reason, number)
return {1}
