#!lua flags=allow-oom
-- bury: the first item of the marked batch becomes a dead letter.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] gone  KEYS[5] holds  KEYS[6] counts
-- KEYS[7] dead    stream  dead letters of the lane   KEYS[8] dead_size
-- ARGV[1] token   ARGV[2] ttl_ms   ARGV[3] marker   ARGV[4] entry   ARGV[5] index behind the item
-- ARGV[6] '1': that is the entry's end   ARGV[7] the channel of a held queue, '' for a lane
-- ARGV[8] counter   ARGV[9] '1': keep it as a dead letter, '0': only count it
-- ARGV[10] most dead letters of the lane, 0 = any number   ARGV[11] most bytes of them, 0 = any
-- ARGV[12...] the dead letter's fields and values
-- Returns {LOST} | {MISMATCH} | {DONE}
-- include advance
-- include counters
-- include depth
-- include dead
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return {-1} end
if redis.call('HGET', KEYS[2], 'marker') ~= ARGV[3] then return {-2} end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
if ARGV[9] == '1' then
  rehearse(KEYS[1], KEYS[2], KEYS[4], ARGV[3])
  add_letter(KEYS[7], KEYS[8], {unpack(ARGV, 12)})
  trim_dead(KEYS[7], KEYS[8], KEYS[6], tonumber(ARGV[10]), tonumber(ARGV[11]), MAX_TRIMMED)
end
advance(KEYS[1], KEYS[2], KEYS[4], ARGV[4], ARGV[5], ARGV[6])
move_marker(KEYS[2], ARGV[3], ARGV[4], ARGV[5])
add_depth(KEYS[1], KEYS[2], -1)
tally(KEYS[6], ARGV[8], 1)
end_if_empty(KEYS[1], KEYS[2], KEYS[5], ARGV[7])
return {1}
