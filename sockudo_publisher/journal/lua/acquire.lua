#!lua flags=allow-oom
-- acquire: take the lease of a queue, unless another worker holds it.
-- KEYS[1] lease  string  the holder's token
-- KEYS[2] state  hash    fence, the number of the last lease
-- KEYS[3] holds  zset    held channels by due time
-- KEYS[4] state of the lane  hash  unanswered rings (sweep.lua); for a lane this is its state again
-- KEYS[5] stream stream  of the queue
-- ARGV[1] owner, unique   ARGV[2] ttl_ms   ARGV[3] the channel of a held queue, '' for a lane
-- Returns {EMPTY}: another worker holds the lease, or the channel is not held any more
--   | {DONE, token, '1': the drain before ended in an error (fail.lua), held channel...}
-- The token is "FENCE-OWNER". FENCE grows with each lease, and each script that writes compares the token.
-- include now
local lease, state, holds, lane_state, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local owner, ttl_ms, channel = ARGV[1], ARGV[2], ARGV[3]
local left = redis.call('PTTL', lease)
-- A lease key without an expiry was not written by this script, or its expiry was removed: it gets one. A live holder
-- renews it.
if left == -1 then redis.call('PEXPIRE', lease, ttl_ms) end
if left ~= -2 then return {0} end
if channel ~= '' then
  if not redis.call('ZSCORE', holds, channel) then return {0} end
  if redis.call('XLEN', stream) == 0 then -- an empty hold would be tried for ever
    redis.call('DEL', stream, state)
    redis.call('ZREM', holds, channel)
    return {0}
  end
end
local fence = redis.pcall('HINCRBY', state, 'fence', 1)
if type(fence) == 'table' then -- not a number: replaced by one that is higher than all before
  fence = string.format('%.0f', now_ms())
  redis.call('HSET', state, 'fence', fence)
end
local token = fence .. '-' .. owner
redis.call('SET', lease, token, 'PX', ttl_ms)
redis.call('HDEL', lane_state, 'unanswered')
local answer = redis.call('ZRANGE', holds, 0, -1)
table.insert(answer, 1, tostring(redis.call('HEXISTS', state, 'failures')))
table.insert(answer, 1, token)
table.insert(answer, 1, 1)
return answer
