#!lua flags=allow-oom
-- acquire: take the lease of a queue, if nobody has it.
-- KEYS[1] lease  string  the holder's token
-- KEYS[2] state  hash    fence, the number of the last lease
-- KEYS[3] holds  zset    held channels by due time
-- KEYS[4] state of the lane  hash  unanswered rings (sweep.lua); a lane names its own again
-- KEYS[5] stream stream  of the queue
-- ARGV[1] owner, unique   ARGV[2] ttl_ms   ARGV[3] the channel of a held queue, '' for a lane
-- Returns {EMPTY}: another worker holds it, or the hold is over
--   | {DONE, token, '1': the drain before ended in an error (fail.lua), held channel...}
-- The token is "FENCE-OWNER": it grows with every lease, and every write names it.
-- include now
local left = redis.call('PTTL', KEYS[1])
-- A lease always has an end: a key without one is no lease, or has lost its end. A holder that lives renews it.
if left == -1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if left ~= -2 then return {0} end
if ARGV[3] ~= '' then
  if not redis.call('ZSCORE', KEYS[3], ARGV[3]) then return {0} end
  if redis.call('XLEN', KEYS[5]) == 0 then -- a hold of nothing would be tried for ever
    redis.call('DEL', KEYS[5], KEYS[2])
    redis.call('ZREM', KEYS[3], ARGV[3])
    return {0}
  end
end
local fence = redis.pcall('HINCRBY', KEYS[2], 'fence', 1)
if type(fence) == 'table' then -- no number: any that is higher than all before
  fence = string.format('%.0f', now_ms())
  redis.call('HSET', KEYS[2], 'fence', fence)
end
local token = fence .. '-' .. ARGV[1]
redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
redis.call('HDEL', KEYS[4], 'unanswered')
local answer = redis.call('ZRANGE', KEYS[3], 0, -1)
table.insert(answer, 1, tostring(redis.call('HEXISTS', KEYS[2], 'failures')))
table.insert(answer, 1, token)
table.insert(answer, 1, 1)
return answer
