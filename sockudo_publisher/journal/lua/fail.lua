#!lua flags=allow-oom
-- fail: a drain of a queue ended in an error: the queue rests, twice as long with each error in a row.
-- KEYS[1] state   hash  failures, failing_since, failure, retry_at
-- KEYS[2] counts  hash  counters by reason
-- KEYS[3] holds   zset  held channels by due time
-- ARGV[1] the kind of error   ARGV[2] ms of the first rest   ARGV[3] ms of the longest   ARGV[4] the channel of a held
-- queue, '' for a lane
-- Returns {EMPTY}: the channel is not held any more | {DONE, failures in a row}
-- include now
-- include counters
local state, counts, holds = KEYS[1], KEYS[2], KEYS[3]
local failure, first_ms, longest_ms, channel = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
if channel ~= '' and not redis.call('ZSCORE', holds, channel) then return {0} end
local now = now_ms()
local failures = tonumber(redis.call('HGET', state, 'failures') or '0')
if not (failures and failures >= 0 and failures < 1e9) then failures = 0 end
local rest = math.min(longest_ms, first_ms * 2 ^ math.min(failures, 30))
redis.call('HSETNX', state, 'failing_since', string.format('%.0f', now))
redis.call('HSET', state, 'failures', string.format('%.0f', failures + 1), 'failure', failure,
  'retry_at', string.format('%.0f', now + rest))
if channel ~= '' then redis.call('ZADD', holds, 'XX', now + rest, channel) end
tally(counts, 'drain_failed', 1)
return {1, failures + 1}
