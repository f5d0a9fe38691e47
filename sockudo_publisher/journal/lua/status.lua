#!lua flags=no-writes
-- status: what one lane holds, and how it stands. Changes nothing.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] holds  KEYS[5] dead  KEYS[6] counts
-- Returns {DONE, depth, ms since its first entry came or -1, dead letters, leased, armed,
--   {held channel...}, {reason, count...}, version of its first entry or ''}
-- The age is read here because an entry is up to 256 KiB, and its id is all that is needed.
-- include now
local kept = redis.call('HMGET', KEYS[2], 'depth', 'armed')
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local age, version = -1, ''
if oldest then
  age = math.max(0, now_ms() - tonumber(string.match(oldest[1], '^%d+')))
  version = oldest[2][2]
end
return {1, tonumber(kept[1] or '0'), age, redis.call('XLEN', KEYS[5]), redis.call('EXISTS', KEYS[3]),
  tonumber(kept[2] or '0'), redis.call('ZRANGE', KEYS[4], 0, -1), redis.call('HGETALL', KEYS[6]), version}
