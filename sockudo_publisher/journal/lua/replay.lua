#!lua
-- replay: a dead letter goes back to the tail of its lane.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] dead
-- ARGV[1] the dead letter's id   ARGV[2] meta   ARGV[3] item
-- Returns {EMPTY}: no such dead letter (any more) | {DONE} | {RING}
-- An expiry is not kept: whoever replays wants it delivered.
-- include counters
if #redis.call('XRANGE', KEYS[3], ARGV[1], ARGV[1]) == 0 then return {0} end
redis.call('XADD', KEYS[1], '*', 'v', '1', 'n', '1', 'x', '0', 'm', ARGV[2], 'b', ARGV[3])
redis.call('XDEL', KEYS[3], ARGV[1]) -- not before: a lane that takes nothing would have lost it
add_depth(KEYS[1], KEYS[2], 1)
if redis.call('HSETNX', KEYS[2], 'armed', '1') == 1 then return {4} end
return {1}
