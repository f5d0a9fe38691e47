#!lua flags=allow-oom
-- postpone: set when a held channel is tried again; a channel that is not held any more stays so.
-- KEYS[1] lease  string  the token of the held queue's holder
-- KEYS[2] holds  zset    held channels by due time
-- ARGV[1] token   ARGV[2] channel   ARGV[3] ms from now
-- Returns {LOST} | {DONE}
-- include now
local lease, holds = KEYS[1], KEYS[2]
local token, channel, wait_ms = ARGV[1], ARGV[2], ARGV[3]
if redis.call('GET', lease) ~= token then return {-1} end
redis.call('ZADD', holds, 'XX', now_ms() + wait_ms, channel)
return {1}
