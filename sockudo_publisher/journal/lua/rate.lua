#!lua flags=allow-oom
-- rate: take tokens from an app's bucket; one token is one event sent for the first time.
-- KEYS[1] {app}:rate  hash  tokens (may have a fraction), at (when, us of Redis' time); expires when full again
-- ARGV[1] tokens that come per second   ARGV[2] max tokens in the bucket   ARGV[3] tokens wanted
-- Returns {DONE, tokens granted, ms until the caller should ask again (0: all were granted)}
-- The wait is for half the bucket, or for all that is wanted if that is less: smaller grants make small batches.
local bucket = KEYS[1]
local rate, max_tokens, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
if not string.find('none hash', redis.call('TYPE', bucket).ok, 1, true) then redis.call('DEL', bucket) end
local kept = redis.call('HMGET', bucket, 'tokens', 'at')
local tokens, at = tonumber(kept[1] or ''), tonumber(kept[2] or '')
if tokens and at and tokens >= 0 and at >= 0 then
  -- A clock that was set back adds no tokens and takes none away.
  tokens = math.min(max_tokens, tokens + math.max(0, now - at) * rate / 1000000)
else -- no bucket yet, or values that are not numbers: a full bucket
  tokens = max_tokens
end
local granted = math.min(wanted, math.floor(tokens))
tokens = tokens - granted
redis.call('HSET', bucket, 'tokens', string.format('%.6f', tokens), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', bucket, string.format('%.0f', math.ceil((max_tokens - tokens) * 1000 / rate) + 1000))
local short = wanted - granted
if short == 0 then return {1, granted, 0} end
local enough = math.max(1, math.min(short, math.floor(max_tokens / 2)))
return {1, granted, math.ceil((enough - tokens) * 1000 / rate)}
