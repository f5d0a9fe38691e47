#!lua flags=allow-oom
-- acquire: take the lease of a queue, if nobody has it.
-- KEYS[1] lease  string  the holder's token
-- KEYS[2] state  hash    fence, the number of the last lease
-- KEYS[3] holds  zset    held channels by due time
-- KEYS[4] state of the lane  hash  unanswered rings (sweep.lua); a lane names its own again
-- ARGV[1] owner, unique   ARGV[2] ttl_ms   ARGV[3] the channel of a held queue, '' for a lane
-- Returns {EMPTY}: somebody holds it, or the hold is over | {DONE, token, held channel...}
-- The token is "FENCE-OWNER": it grows with every lease, and every write names it.
if redis.call('EXISTS', KEYS[1]) == 1 then return {0} end
if ARGV[3] ~= '' and not redis.call('ZSCORE', KEYS[3], ARGV[3]) then return {0} end
local token = redis.call('HINCRBY', KEYS[2], 'fence', 1) .. '-' .. ARGV[1]
redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
redis.call('HDEL', KEYS[4], 'unanswered')
local answer = redis.call('ZRANGE', KEYS[3], 0, -1)
table.insert(answer, 1, token)
table.insert(answer, 1, 1)
return answer
