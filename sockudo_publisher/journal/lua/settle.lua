#!lua flags=allow-oom
-- settle: the server has accepted a prefix of what take marked; it leaves the queue.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] gone  KEYS[5] holds  KEYS[6] counts
-- ARGV[1] token   ARGV[2] ttl_ms   ARGV[3] the marker that take answered
-- ARGV[4] entry   ARGV[5] index: the prefix ends before it   ARGV[6] '1': that is the entry's end
-- ARGV[7] items in the prefix   ARGV[8] counter   ARGV[9] the channel of a held queue, '' for a lane
-- ARGV[10] '1': they were sent again after their window, and are counted as that, too
-- Returns {LOST} | {MISMATCH} | {DONE}
-- include advance
-- include counters
-- include depth
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return {-1} end
if redis.call('HGET', KEYS[2], 'marker') ~= ARGV[3] then return {-2} end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
advance(KEYS[1], KEYS[2], KEYS[4], ARGV[4], ARGV[5], ARGV[6])
move_marker(KEYS[2], ARGV[3], ARGV[4], ARGV[5])
add_depth(KEYS[1], KEYS[2], -ARGV[7])
tally(KEYS[6], ARGV[8], ARGV[7])
if ARGV[10] == '1' then tally(KEYS[6], 'resent_after_window', ARGV[7]) end
end_if_empty(KEYS[1], KEYS[2], KEYS[5], ARGV[9])
return {1}
