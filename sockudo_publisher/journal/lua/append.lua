#!lua
-- append: put packs at the tail of a lane, and say whether the lane must be rung.
-- KEYS[1] {app:lane}:stream  stream  packs, oldest first
-- KEYS[2] {app:lane}:state   hash    depth (items), armed (a drain is rung or running)
-- ARGV[1] most items the lane may hold, 0 = any number
-- ARGV[2] items in all packs of this call
-- ARGV[3...] per pack: item count, earliest expiry in ms or 0, meta (JSON), body (items joined by ',')
-- Returns {FULL, depth} | {DONE} | {RING}
-- Invariant: a lane with entries is leased or armed, so no wake-up is lost.
local depth = tonumber(redis.call('HGET', KEYS[2], 'depth') or '0')
local most, count = tonumber(ARGV[1]), tonumber(ARGV[2])
if most > 0 and depth + count > most then return {-3, depth} end
for i = 3, #ARGV, 4 do
  redis.call('XADD', KEYS[1], '*', 'v', '1', 'n', ARGV[i], 'x', ARGV[i + 1], 'm', ARGV[i + 2], 'b', ARGV[i + 3])
end
redis.call('HINCRBY', KEYS[2], 'depth', count)
if redis.call('HSETNX', KEYS[2], 'armed', '1') == 1 then return {4} end
return {1}
