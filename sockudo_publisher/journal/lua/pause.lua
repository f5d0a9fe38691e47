#!lua flags=allow-oom
-- pause: nothing is sent to an app for a while, by any worker.
-- KEYS[1] {app}:pause  hash  reason, words, since, until, count
-- ARGV[1] reason   ARGV[2] ms from now   ARGV[3] the server's words
-- Returns {DONE, how many pauses in a row}
-- include now

--: ms that a pause may last (shared.py); more is a clock that was set back, or no time at all.
local LONGEST_MS = 660000

local now = now_ms()
if not string.find('none hash', redis.call('TYPE', KEYS[1]).ok, 1, true) then redis.call('DEL', KEYS[1]) end
redis.call('HSETNX', KEYS[1], 'since', string.format('%.0f', now))
-- Another lane's request may end later and ask for less: whoever asked for longer is obeyed.
local before = tonumber(redis.call('HGET', KEYS[1], 'until') or '0')
if not (before and before <= now + LONGEST_MS) then before = 0 end
local ends = math.max(now + ARGV[2], before)
redis.call('HSET', KEYS[1], 'reason', ARGV[1], 'words', ARGV[3], 'until', string.format('%.0f', ends))
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or '0')
if not (count and count >= 0 and count < 1e9 and count % 1 == 0) then count = 0 end
redis.call('HSET', KEYS[1], 'count', string.format('%.0f', count + 1))
return {1, count + 1}
