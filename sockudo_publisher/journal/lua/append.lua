#!lua
-- append: add packs at the tail of a lane, and answer whether the lane must be rung.
-- KEYS[1] {app:lane}:stream  stream  packs, oldest first
-- KEYS[2] {app:lane}:state   hash    depth (items), armed (a drain is rung or running), lane (mark.lua), numbered
-- KEYS[3...] {app:lane}:latest  hash  collapse.lua; only if an item of the call has a collapse key
-- ARGV[1] max items of the lane, 0 = no limit
-- ARGV[2] '1': only a lane that was marked open, '0': a first layout's lanes need no mark
-- ARGV[3] 'stop': if not all items fit, all are refused; 'skip': the first are stored, as many as fit
-- ARGV[4] items in all packs of this call
-- ARGV[5...] per pack: item count, earliest expiry in ms or 0, meta (JSON), body (items joined by ',')
-- Returns {CLOSED} | {FULL, depth}: nothing is stored
--   | {DONE or RING}: all are stored | {DONE or RING, items stored, depth}: the first are stored, the others do not fit
-- Invariant: a lane with entries is leased or armed, so no wake-up is lost.
-- The entries come last: Redis undoes no write, and if a right is missing, no event may stay that the caller believes
-- is not stored.
-- include depth
-- include add_entry
-- include part
local stream, state, latest = KEYS[1], KEYS[2], KEYS[3]
local max_items, needs_mark, skips, count = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3] == 'skip', tonumber(ARGV[4])
local kept = redis.call('HMGET', state, 'depth', 'lane')
if kept[2] == 'closed' or (not kept[2] and needs_mark) then return {-5} end
local known = read_depth(stream, kept[1])
local room, depth = room_for(stream, known, count, max_items)
if room == 0 or (room < count and not skips) then return {-3, depth} end
if depth ~= known then redis.call('HSET', state, 'depth', depth) end
add_depth(stream, state, room)
local armed = redis.call('HSETNX', state, 'armed', '1')
local past = #ARGV + 1
if room < count then
  -- The first items fit: what is behind them is cut off.
  local left = room
  past = 5
  while tonumber(ARGV[past]) <= left do left, past = left - ARGV[past], past + 4 end
  if left > 0 then
    local meta = part_of(cjson.decode(ARGV[past + 2]), tonumber(ARGV[past]), 1, left)
    local size, earliest = left - 1, 0
    for k = 1, left do
      local expiry = meta.x and meta.x[k] or 0
      size = size + meta.n[k]
      if expiry > 0 and (earliest == 0 or expiry < earliest) then earliest = expiry end
    end
    ARGV[past], ARGV[past + 1], ARGV[past + 2] = left, string.format('%.0f', earliest), cjson.encode(meta)
    ARGV[past + 3] = string.sub(ARGV[past + 3], 1, size)
    past = past + 4
  end
end
if latest then
-- include collapse
  for i = 5, past - 1, 4 do
    add_collapsing(stream, state, latest, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  end
else
  for i = 5, past - 1, 4 do add_entry(stream, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) end
end
local answer = {1}
if armed == 1 then answer[1] = 4 end
if room < count then answer[2], answer[3] = room, depth + room end
return answer
