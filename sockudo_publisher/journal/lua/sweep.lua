#!lua flags=allow-oom
-- sweep: find a lane whose doorbell was lost, and the holds that are due.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] holds
-- ARGV[1] ms during which nobody rings it again
-- ARGV[2] rings without an answer after which the lane is unheard, 0 = rings are not counted
-- Returns {DONE or RING, held channel that is due...}; a lane or hold is answered to one caller only
-- include now
local now, gap, most = now_ms(), tonumber(ARGV[1]), tonumber(ARGV[2])
local answer = {1}
if redis.call('EXISTS', KEYS[3]) == 0 and redis.call('XLEN', KEYS[1]) > 0
    and math.abs(now - tonumber(redis.call('HGET', KEYS[2], 'rung') or '0')) >= gap then -- clocks are set back, too
  redis.call('HSET', KEYS[2], 'rung', string.format('%.0f', now), 'armed', '1')
  answer[1] = 4
end
for _, channel in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[4], now + gap, channel)
  answer[#answer + 1] = channel
end
-- acquire.lua ends the count. An empty queue without a holder is not rung.
if most > 0 and (answer[1] == 4 or #answer > 1) and redis.call('HINCRBY', KEYS[2], 'unanswered', 1) >= most then
  redis.call('HSET', KEYS[2], 'unheard', string.format('%.0f', now))
end
return answer
