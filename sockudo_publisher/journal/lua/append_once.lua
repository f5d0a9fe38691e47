#!lua
-- append_once: append items that carry a key, each at most once per key.
-- KEYS[1] {app:lane}:stream  stream  packs, oldest first
-- KEYS[2] {app:lane}:state   hash    depth, armed, lane (mark.lua), numbered
-- KEYS[3] {app:lane}:latest  hash    collapse.lua
-- KEYS[4...] {app:lane}:ledger:CHANNEL:KEY  string  "a FINGERPRINT" appended | "s FINGERPRINT" scheduled
-- ARGV[1] max items of the lane, 0 = no limit
-- ARGV[2] '1': only a lane that was marked open, '0': a first layout's lanes need no mark
-- ARGV[3] how long the ledger keeps a key, ms
-- ARGV[4] 'stop': if an item is refused, none is stored; 'skip': the others are; 'look': as 'stop', but changes nothing
-- ARGV[5...] per key: fingerprint, channel, expiry in ms or 0, item, what an earlier layout's ledger holds or '',
--   collapse key or '', trace context or ''
-- Returns {CLOSED}
--   | {FULL, depth} | {CONFLICT, index of the first key used with another payload}: nothing is stored
--   | {DONE or RING, number appended, depth, (index, code)...}: with each item that this call did not append, and why:
--     DONE, its key was appended before, CONFLICT or FULL (the latter two for 'skip' alone)
-- Items that do not fit come after all that are appended.
-- A ledger that cannot be read counts as a conflict: whether its event is stored is unknown.
-- include depth
-- include add_entry
-- include collapse

--: Items of one entry, as pack.py has it.
local MAX_ITEMS = 100

local stream, state, latest = KEYS[1], KEYS[2], KEYS[3]
local max_items, needs_mark, ttl_ms, mode = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3], ARGV[4]
local kept = redis.call('HMGET', state, 'depth', 'lane')
if kept[2] == 'closed' or (not kept[2] and needs_mark) then return {-5} end
-- read_ledger(key): its value, false if there is none, '?' if it is not a ledger.
local function read_ledger(key)
  local known = redis.pcall('GET', key)
  return type(known) == 'table' and '?' or known
end

local before = read_depth(stream, kept[1])
local room, depth = room_for(stream, before, #KEYS - 3, max_items)
local fresh, seen = {}, {} -- places in KEYS of new items; the new value of each ledger
local answer = {1, 0, 0}
-- leave_out(k, code): the item of KEYS[k] is not appended.
local function leave_out(k, code)
  answer[#answer + 1] = k - 4
  answer[#answer + 1] = code
end

for k = 4, #KEYS do
  local at = 5 + (k - 4) * 7
  local known = seen[KEYS[k]] or read_ledger(KEYS[k]) or (ARGV[at + 4] ~= '' and ARGV[at + 4])
  if known and string.sub(known, 3) ~= ARGV[at] then
    if mode ~= 'skip' then return {-4, k - 4} end
    leave_out(k, -4)
  elseif known and string.sub(known, 1, 1) == 'a' then
    leave_out(k, 1)
  elseif mode == 'skip' and #fresh == room then
    leave_out(k, -3)
  else
    seen[KEYS[k]] = 'a ' .. ARGV[at]
    fresh[#fresh + 1] = k
  end
end
if #fresh > room then return {-3, depth} end
answer[2], answer[3] = #fresh, depth + #fresh
if #fresh == 0 or mode == 'look' then return answer end
if depth ~= before then redis.call('HSET', state, 'depth', depth) end
-- The ledger comes last: a key that is stored without its event would lose the event.
add_depth(stream, state, #fresh)
local armed = redis.call('HSETNX', state, 'armed', '1')
for first = 1, #fresh, MAX_ITEMS do
  local lengths, channels, expiries, items, collapse, earliest, collapses = {}, {}, {}, {}, {}, 0, false
  local traces, is_traced = {}, false
  for i = first, math.min(first + MAX_ITEMS - 1, #fresh) do
    local at = 5 + (fresh[i] - 4) * 7
    local expiry = tonumber(ARGV[at + 2])
    channels[#channels + 1] = ARGV[at + 1]
    expiries[#expiries + 1] = expiry
    items[#items + 1] = ARGV[at + 3]
    lengths[#lengths + 1] = #ARGV[at + 3]
    collapse[#collapse + 1] = ARGV[at + 5]
    collapses = collapses or ARGV[at + 5] ~= ''
    traces[#traces + 1] = ARGV[at + 6]
    is_traced = is_traced or ARGV[at + 6] ~= ''
    if expiry > 0 and (earliest == 0 or expiry < earliest) then earliest = expiry end
  end
  local meta = {n = lengths, c = channels}
  if earliest > 0 then meta.x = expiries end
  if is_traced then meta.r = traces end
  local expiry, body = string.format('%.0f', earliest), table.concat(items, ',')
  if collapses then
    meta.k = collapse
    add_collapsing(stream, state, latest, #items, expiry, cjson.encode(meta), body)
  else
    add_entry(stream, #items, expiry, cjson.encode(meta), body)
  end
end
for _, k in ipairs(fresh) do redis.call('SET', KEYS[k], seen[KEYS[k]], 'PX', ttl_ms) end
if armed == 1 then answer[1] = 4 end
return answer
