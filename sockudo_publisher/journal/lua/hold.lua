#!lua flags=allow-oom
-- hold: the first item of the marked batch is stuck: it moves, with its first-sent time, to its channel's own queue.
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
local stream, state, lease, gone, holds, counts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local hold_stream, hold_state = KEYS[7], KEYS[8]
local token, ttl_ms, marker, entry, index, whole = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local channel, expiry, meta, item, retry_ms = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
if redis.call('GET', lease) ~= token then return {-1} end
if redis.call('HGET', state, 'marker') ~= marker then return {-2} end
redis.call('PEXPIRE', lease, ttl_ms)
-- The item comes after all that may fail (rehearse). A hold that stays empty ends with its next lease (acquire.lua).
rehearse(stream, state, gone, marker)
redis.call('ZADD', holds, now_ms() + retry_ms, channel)
add_depth(hold_stream, hold_state, 1)
add_entry(hold_stream, 1, expiry, meta, item, string.match(marker, '^(%d+)'))
advance(stream, state, gone, entry, index, whole)
move_marker(state, marker, entry, index)
add_depth(stream, state, -1)
tally(counts, 'stuck', 1)
end_if_empty(stream, state, holds, '')
return {1}
