#!lua
-- append: put packs at the tail of a lane, and say whether the lane must be rung.
-- KEYS[1] {app:lane}:stream  stream  packs, oldest first
-- KEYS[2] {app:lane}:state   hash    depth (items), armed (a drain is rung or running), lane (mark.lua)
-- ARGV[1] most items the lane may hold, 0 = any number
-- ARGV[2] '1': only a lane that was marked open, '0': a first layout's lanes need no mark
-- ARGV[3] items in all packs of this call
-- ARGV[4...] per pack: item count, earliest expiry in ms or 0, meta (JSON), body (items joined by ',')
-- Returns {CLOSED} | {FULL, depth} | {DONE} | {RING}
-- Invariant: a lane with entries is leased or armed, so no wake-up is lost.
-- The entries come last: Redis takes no write back, and a right that is missing must not leave an event behind
-- that its caller takes for not stored.
-- include depth
local kept = redis.call('HMGET', KEYS[2], 'depth', 'lane')
if kept[2] == 'closed' or (not kept[2] and ARGV[2] == '1') then return {-5} end
local depth = read_depth(KEYS[1], kept[1])
local most, count = tonumber(ARGV[1]), tonumber(ARGV[3])
if is_full(KEYS[1], depth, count, most) then return {-3, depth} end
if most > 0 and depth + count > most then redis.call('HSET', KEYS[2], 'depth', 0) end
add_depth(KEYS[1], KEYS[2], count)
local armed = redis.call('HSETNX', KEYS[2], 'armed', '1')
for i = 4, #ARGV, 4 do
  redis.call('XADD', KEYS[1], '*', 'v', '1', 'n', ARGV[i], 'x', ARGV[i + 1], 'm', ARGV[i + 2], 'b', ARGV[i + 3])
end
if armed == 1 then return {4} end
return {1}
