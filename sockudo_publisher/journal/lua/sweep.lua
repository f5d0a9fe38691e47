#!lua flags=allow-oom
-- sweep: find a lane whose doorbell was lost, and the holds that are due.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] holds
-- ARGV[1] ms during which nobody rings it again   ARGV[2] ms that a lease lasts
-- Returns {DONE or RING, held channel that is due...}; a lane or hold is answered to one caller only
-- include now

--: ms that a lane rests at most after an error; more is a clock that was set back, or no time at all.
local MOST_REST_MS = 120000
--: ms after which a hold is due at the latest; more is the same.
local MOST_DUE_MS = 3600000

local now, gap = now_ms(), tonumber(ARGV[1])
local answer = {1}
local left = redis.call('PTTL', KEYS[3])
if left == -1 then redis.call('PEXPIRE', KEYS[3], ARGV[2]) end -- no lease is without an end (acquire.lua)
local kept = redis.call('HMGET', KEYS[2], 'rung', 'retry_at')
local rung, rest = tonumber(kept[1] or '0') or 0, (tonumber(kept[2] or '0') or 0) - now
if left == -2 and redis.call('XLEN', KEYS[1]) > 0 and not (rest > 0 and rest <= MOST_REST_MS)
    and not (math.abs(now - rung) < gap) then -- clocks are set back, too
  redis.call('HSET', KEYS[2], 'rung', string.format('%.0f', now), 'armed', '1')
  answer[1] = 4
end
for _, channel in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[4], now + gap, channel)
  answer[#answer + 1] = channel
end
for _, channel in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], now + MOST_DUE_MS, '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[4], now, channel)
end
return answer
