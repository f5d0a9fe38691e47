#!lua flags=allow-oom
-- pause: no worker sends to the app for a while.
-- KEYS[1] {app}:pause  hash  reason, message, since, until, count
-- ARGV[1] reason   ARGV[2] ms from now   ARGV[3] the server's text
-- Returns {DONE, how many pauses in a row}
-- include now

--: Max ms of a pause (shared.py). A longer one is in the record only if a clock was set back or the value is damaged.
local LONGEST_MS = 660000

local pause, reason, wait_ms, text = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
if not string.find('none hash', redis.call('TYPE', pause).ok, 1, true) then redis.call('DEL', pause) end
redis.call('HSETNX', pause, 'since', string.format('%.0f', now))
-- Another lane's request may end later and ask for a shorter pause: the longer one holds.
local before = tonumber(redis.call('HGET', pause, 'until') or '0')
if not (before and before <= now + LONGEST_MS) then before = 0 end
local ends = math.max(now + wait_ms, before)
redis.call('HSET', pause, 'reason', reason, 'message', text, 'until', string.format('%.0f', ends))
local count = tonumber(redis.call('HGET', pause, 'count') or '0')
if not (count and count >= 0 and count < 1e9 and count % 1 == 0) then count = 0 end
redis.call('HSET', pause, 'count', string.format('%.0f', count + 1))
return {1, count + 1}
