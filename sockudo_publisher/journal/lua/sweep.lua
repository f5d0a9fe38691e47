#!lua flags=allow-oom
-- sweep: find a lane whose doorbell was lost, and the held channels that are due; disarm an empty lane whose holder died.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] holds  KEYS[5] latest
-- ARGV[1] ms during which no caller rings it again   ARGV[2] rings without an answer after which the lane is unheard,
-- 0 = rings are not counted   ARGV[3] ms that a lease lasts   ARGV[4] '1': only a lane with a marker
-- Returns {DONE or RING, held channel that is due...}; a lane or held channel is answered to one caller only
-- include now

--: Max ms that a lane rests after an error. A longer rest means that a clock was set back or the value is damaged.
local MAX_REST_MS = 120000
--: Max ms until a held channel is due; a later time has the same causes.
local MAX_DUE_MS = 3600000

local stream, state, lease, holds, latest = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local gap_ms, unheard_after, ttl_ms, only_marked = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
local now = now_ms()
local answer = {1}
local left = redis.call('PTTL', lease)
if left == -1 then redis.call('PEXPIRE', lease, ttl_ms) end -- each lease has an expiry (acquire.lua)
local is_empty = redis.call('XLEN', stream) == 0
local kept = redis.call('HMGET', state, 'rung', 'retry_at', 'marker')
-- In a lane where nothing waits no item is obsolete. What is left here is of items that left without a take (mend.lua,
-- quarantine.lua).
if is_empty and redis.call('EXISTS', holds) == 0 then redis.call('DEL', latest) end
-- Its holder died: nothing rings the lane any more, and the next event has to.
if left == -2 and is_empty then redis.call('HDEL', state, 'armed') end
local rung, rest = tonumber(kept[1] or '0') or 0, (tonumber(kept[2] or '0') or 0) - now
if left == -2 and not is_empty and (kept[3] or not only_marked) and not (rest > 0 and rest <= MAX_REST_MS)
    and not (math.abs(now - rung) < gap_ms) then -- abs: a clock may be set back
  redis.call('HSET', state, 'rung', string.format('%.0f', now), 'armed', '1')
  answer[1] = 4
end
for _, channel in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZADD', holds, now + gap_ms, channel)
  answer[#answer + 1] = channel
end
for _, channel in ipairs(redis.call('ZRANGEBYSCORE', holds, now + MAX_DUE_MS, '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZADD', holds, now, channel)
end
-- acquire.lua ends the count. An empty queue without a holder is not rung.
if unheard_after > 0 and (answer[1] == 4 or #answer > 1) then
  local unanswered = redis.pcall('HINCRBY', state, 'unanswered', 1)
  if type(unanswered) == 'table' then -- not a number: the count begins again
    redis.call('HSET', state, 'unanswered', '1')
    unanswered = 1
  end
  if unanswered >= unheard_after then redis.call('HSET', state, 'unheard', string.format('%.0f', now)) end
end
return answer
