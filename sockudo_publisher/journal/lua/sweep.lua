#!lua flags=allow-oom
-- sweep: find a lane whose doorbell was lost, and the holds that are due.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] holds
-- ARGV[1] ms during which nobody rings it again
-- ARGV[2] rings without an answer after which the lane is unheard, 0 = rings are not counted   ARGV[3] ms that a lease lasts
-- Returns {DONE or RING, held channel that is due...}; a lane or hold is answered to one caller only
-- include now

--: ms that a lane rests at most after an error; more is a clock that was set back, or no time at all.
local MAX_REST_MS = 120000
--: ms after which a hold is due at the latest; more is the same.
local MAX_DUE_MS = 3600000

local now, gap, most = now_ms(), tonumber(ARGV[1]), tonumber(ARGV[2])
local answer = {1}
local left = redis.call('PTTL', KEYS[3])
if left == -1 then redis.call('PEXPIRE', KEYS[3], ARGV[3]) end -- no lease is without an end (acquire.lua)
local kept = redis.call('HMGET', KEYS[2], 'rung', 'retry_at')
local rung, rest = tonumber(kept[1] or '0') or 0, (tonumber(kept[2] or '0') or 0) - now
if left == -2 and redis.call('XLEN', KEYS[1]) > 0 and not (rest > 0 and rest <= MAX_REST_MS)
    and not (math.abs(now - rung) < gap) then -- clocks are set back, too
  redis.call('HSET', KEYS[2], 'rung', string.format('%.0f', now), 'armed', '1')
  answer[1] = 4
end
for _, channel in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[4], now + gap, channel)
  answer[#answer + 1] = channel
end
for _, channel in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], now + MAX_DUE_MS, '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[4], now, channel)
end
-- acquire.lua ends the count. An empty queue without a holder is not rung.
if most > 0 and (answer[1] == 4 or #answer > 1) then
  local unanswered = redis.pcall('HINCRBY', KEYS[2], 'unanswered', 1)
  if type(unanswered) == 'table' then -- no number: counted anew
    redis.call('HSET', KEYS[2], 'unanswered', '1')
    unanswered = 1
  end
  if unanswered >= most then redis.call('HSET', KEYS[2], 'unheard', string.format('%.0f', now)) end
end
return answer
