#!lua flags=allow-oom
-- rate: take tokens from an app's bucket; one token is one event sent for the first time.
-- KEYS[1] {app}:rate  hash  tokens (may have a fraction), at (when, us of Redis' time); gone once full again
-- ARGV[1] tokens that come per second   ARGV[2] the most the bucket holds   ARGV[3] tokens wanted
-- Returns {DONE, tokens granted, ms until more should be asked for (0: all were granted)}
-- What is short is waited for until half the bucket, or what is wanted, would be there: sips make small batches.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local rate, most, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if not string.find('none hash', redis.call('TYPE', KEYS[1]).ok, 1, true) then redis.call('DEL', KEYS[1]) end
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1] or ''), tonumber(kept[2] or '')
if tokens and at and tokens >= 0 and at >= 0 then
  -- A clock that was set back adds nothing; it takes nothing away either.
  tokens = math.min(most, tokens + math.max(0, now - at) * rate / 1000000)
else -- none yet, or no numbers: the bucket begins anew
  tokens = most
end
local granted = math.min(wanted, math.floor(tokens))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil((most - tokens) * 1000 / rate) + 1000))
local short = wanted - granted
if short == 0 then return {1, granted, 0} end
local enough = math.max(1, math.min(short, math.floor(most / 2)))
return {1, granted, math.ceil((enough - tokens) * 1000 / rate)}
