#!lua flags=allow-oom
-- bury: the first item of the marked batch becomes a dead letter.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] gone  KEYS[5] holds  KEYS[6] counts
-- KEYS[7] dead    stream  dead letters of the lane   KEYS[8] dead_size
-- ARGV[1] token   ARGV[2] ttl_ms   ARGV[3] marker   ARGV[4] entry   ARGV[5] index behind the item
-- ARGV[6] '1': that is the entry's end   ARGV[7] the channel of a held queue, '' for a lane
-- ARGV[8] counter   ARGV[9] '1': keep it as a dead letter, '0': only count it
-- ARGV[10] max dead letters of the lane, 0 = no limit   ARGV[11] max bytes of them, 0 = no limit
-- ARGV[12...] the dead letter's fields and values
-- Returns {LOST} | {MISMATCH} | {DONE}
-- include advance
-- include counters
-- include depth
-- include dead
local stream, state, lease, gone, holds = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local counts, dead, dead_size = KEYS[6], KEYS[7], KEYS[8]
local token, ttl_ms, marker, entry, index, whole = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local channel, counter, keep = ARGV[7], ARGV[8], ARGV[9] == '1'
local max_letters, max_bytes = tonumber(ARGV[10]), tonumber(ARGV[11])
local letter = {unpack(ARGV, 12)}
if redis.call('GET', lease) ~= token then return {-1} end
if redis.call('HGET', state, 'marker') ~= marker then return {-2} end
redis.call('PEXPIRE', lease, ttl_ms)
if keep then
  rehearse(stream, state, gone, marker)
  add_letter(dead, dead_size, letter)
  trim_dead(dead, dead_size, counts, max_letters, max_bytes, MAX_TRIMMED)
end
advance(stream, state, gone, entry, index, whole)
move_marker(state, marker, entry, index)
add_depth(stream, state, -1)
tally(counts, counter, 1)
end_if_empty(stream, state, holds, channel)
return {1}
