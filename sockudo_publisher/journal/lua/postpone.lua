#!lua flags=allow-oom
-- postpone: a held channel is tried again in a while; a hold that is over stays over.
-- KEYS[1] {app:lane}:holds  zset  held channels by due time
-- ARGV[1] channel   ARGV[2] ms from now
-- Returns {DONE}
-- include now
redis.call('ZADD', KEYS[1], 'XX', now_ms() + ARGV[2], ARGV[1])
return {1}
