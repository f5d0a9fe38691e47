#!lua flags=allow-oom
-- settle: the server has accepted a prefix of the marked batch: it leaves the queue.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] gone  KEYS[5] holds  KEYS[6] counts
-- ARGV[1] token   ARGV[2] ttl_ms   ARGV[3] the marker that take answered
-- ARGV[4] entry   ARGV[5] index: the prefix ends before it   ARGV[6] '1': that is the entry's end
-- ARGV[7] items in the prefix   ARGV[8] counter   ARGV[9] the channel of a held queue, '' for a lane
-- ARGV[10] '1': they were sent again after their window, which is counted too
-- Returns {LOST} | {MISMATCH} | {DONE}
-- include advance
-- include counters
-- include depth
local stream, state, lease, gone, holds, counts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local token, ttl_ms, marker, entry, index, whole = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local items, counter, channel, is_late = ARGV[7], ARGV[8], ARGV[9], ARGV[10] == '1'
if redis.call('GET', lease) ~= token then return {-1} end
if redis.call('HGET', state, 'marker') ~= marker then return {-2} end
redis.call('PEXPIRE', lease, ttl_ms)
advance(stream, state, gone, entry, index, whole)
move_marker(state, marker, entry, index)
add_depth(stream, state, -items)
tally(counts, counter, items)
if is_late then tally(counts, 'resent_after_window', items) end
end_if_empty(stream, state, holds, channel)
return {1}
