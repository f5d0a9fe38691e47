#!lua flags=allow-oom
-- unmark: remove the marker of a batch that was certainly not sent.
-- KEYS[1] state  hash    marker
-- KEYS[2] lease  string  the holder's token
-- ARGV[1] token   ARGV[2] marker
-- Returns {LOST} | {MISMATCH} | {DONE}
local state, lease = KEYS[1], KEYS[2]
local token, marker = ARGV[1], ARGV[2]
if redis.call('GET', lease) ~= token then return {-1} end
if redis.call('HGET', state, 'marker') ~= marker then return {-2} end
redis.call('HDEL', state, 'marker')
return {1}
