#!lua
-- replay: a dead letter goes back to the tail of its lane.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] dead  KEYS[4] dead_size
-- ARGV[1] the dead letter's id   ARGV[2] meta   ARGV[3] item
-- Returns {EMPTY}: no such dead letter (any more) | {DONE} | {RING}
-- An expiry is not kept: whoever replays wants it delivered.
-- It is deleted last: a script that fails in the middle must not lose it.
-- include counters
-- include depth
-- include add_entry
-- include dead
local letter = redis.call('XRANGE', KEYS[3], ARGV[1], ARGV[1])[1]
if not letter then return {0} end
redis.call('XDEL', KEYS[3], '0-0') -- no letter: where that is denied, no event comes, again with each try
add_depth(KEYS[1], KEYS[2], 1)
local armed = redis.call('HSETNX', KEYS[2], 'armed', '1')
add_entry(KEYS[1], 1, '0', ARGV[2], ARGV[3])
remove_letter(KEYS[3], KEYS[4], letter)
if armed == 1 then return {4} end
return {1}
