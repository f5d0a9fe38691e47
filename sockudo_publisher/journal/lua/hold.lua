#!lua flags=allow-oom
-- hold: the first item of the marked batch is stuck: it moves, with its clock, to its channel's own queue.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] gone  KEYS[5] holds  KEYS[6] counts
-- KEYS[7] the hold's stream  KEYS[8] the hold's state
-- ARGV[1] token   ARGV[2] ttl_ms   ARGV[3] marker   ARGV[4] entry   ARGV[5] index behind the item
-- ARGV[6] '1': that is the entry's end   ARGV[7] channel   ARGV[8] expiry ms or 0   ARGV[9] meta   ARGV[10] item
-- ARGV[11] ms until it is tried again
-- Returns {LOST} | {MISMATCH} | {DONE}
-- include now
-- include advance
-- include counters
-- include depth
-- include add_entry
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return {-1} end
if redis.call('HGET', KEYS[2], 'marker') ~= ARGV[3] then return {-2} end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
-- The item comes after all that may fail (rehearse). A hold of nothing ends with its next lease (acquire.lua).
rehearse(KEYS[1], KEYS[2], KEYS[4], ARGV[3])
redis.call('ZADD', KEYS[5], now_ms() + ARGV[11], ARGV[7])
add_depth(KEYS[7], KEYS[8], 1)
add_entry(KEYS[7], 1, ARGV[8], ARGV[9], ARGV[10], string.match(ARGV[3], '^(%d+)'))
advance(KEYS[1], KEYS[2], KEYS[4], ARGV[4], ARGV[5], ARGV[6])
move_marker(KEYS[2], ARGV[3], ARGV[4], ARGV[5])
add_depth(KEYS[1], KEYS[2], -1)
tally(KEYS[6], 'stuck', 1)
end_if_empty(KEYS[1], KEYS[2], KEYS[5], '')
return {1}
