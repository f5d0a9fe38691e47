#!lua flags=allow-oom
-- pause: nothing is sent to an app for a while, by any worker.
-- KEYS[1] {app}:pause  hash  reason, words, since, until, count
-- ARGV[1] reason   ARGV[2] ms from now   ARGV[3] the server's words
-- Returns {DONE, how many pauses in a row}
-- include now
local now = now_ms()
redis.call('HSETNX', KEYS[1], 'since', string.format('%.0f', now))
-- Another lane's request may end later and ask for less: whoever asked for longer is obeyed.
local ends = math.max(now + ARGV[2], tonumber(redis.call('HGET', KEYS[1], 'until') or '0'))
redis.call('HSET', KEYS[1], 'reason', ARGV[1], 'words', ARGV[3], 'until', string.format('%.0f', ends))
return {1, redis.call('HINCRBY', KEYS[1], 'count', 1)}
