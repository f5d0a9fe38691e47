#!lua flags=allow-oom
-- unmark: the batch of that marker was certainly not sent.
-- KEYS[1] state  hash    marker
-- KEYS[2] lease  string  the holder's token
-- ARGV[1] token   ARGV[2] marker
-- Returns {LOST} | {MISMATCH} | {DONE}
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {-1} end
if redis.call('HGET', KEYS[1], 'marker') ~= ARGV[2] then return {-2} end
redis.call('HDEL', KEYS[1], 'marker')
return {1}
