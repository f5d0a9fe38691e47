#!lua
-- replay: a dead letter goes back to the tail of its lane.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] dead  KEYS[4] dead_size
-- ARGV[1] the dead letter's id   ARGV[2] meta   ARGV[3] item
-- Returns {EMPTY}: there is no such dead letter | {DONE} | {RING}
-- The new entry has no expiry: a person who replays an event wants it delivered.
-- The letter is deleted last: a script that fails in the middle must not lose it.
-- include counters
-- include depth
-- include add_entry
-- include dead
local stream, state, dead, dead_size = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, meta, item = ARGV[1], ARGV[2], ARGV[3]
local letter = redis.call('XRANGE', dead, id, id)[1]
if not letter then return {0} end
redis.call('XDEL', dead, '0-0') -- deletes nothing: if XDEL is denied, no event is appended, also at the next try
add_depth(stream, state, 1)
local armed = redis.call('HSETNX', state, 'armed', '1')
add_entry(stream, 1, '0', meta, item)
remove_letter(dead, dead_size, letter)
if armed == 1 then return {4} end
return {1}
