#!lua flags=allow-oom
-- postpone: a held channel is tried again in a while; a hold that is over stays over.
-- KEYS[1] lease  string  the token of who holds the held queue
-- KEYS[2] holds  zset    held channels by due time
-- ARGV[1] token   ARGV[2] channel   ARGV[3] ms from now
-- Returns {LOST} | {DONE}
-- include now
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1} end
redis.call('ZADD', KEYS[2], 'XX', now_ms() + ARGV[3], ARGV[2])
return {1}
