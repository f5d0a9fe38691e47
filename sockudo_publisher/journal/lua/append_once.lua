#!lua
-- append_once: append items that carry a key, each at most once per key.
-- KEYS[1] {app:lane}:stream  stream  packs, oldest first
-- KEYS[2] {app:lane}:state   hash    depth, armed, lane (mark.lua)
-- KEYS[3...] {app:lane}:ledger:CHANNEL:KEY  string  "a FINGERPRINT" appended | "s FINGERPRINT" scheduled
-- ARGV[1] most items the lane may hold, 0 = any number
-- ARGV[2] '1': only a lane that was marked open, '0': a first layout's lanes need no mark
-- ARGV[3] how long a key is remembered, ms
-- ARGV[4] '1': only look (conflict, backlog), change nothing
-- ARGV[5...] per key: fingerprint, channel, expiry in ms or 0, item, what an earlier layout's ledger says or ''
-- Returns {CLOSED} | {FULL, depth} | {CONFLICT, index of the first key used with another payload}
--   | {DONE or RING, number appended}: keys already appended are passed over
-- A ledger that cannot be read counts as one of another payload: whether its event is stored is unknown.
-- include depth

--: Items of one entry, as pack.py has it.
local MAX_ITEMS = 100

local most, ttl, look = tonumber(ARGV[1]), ARGV[3], ARGV[4] == '1'
local kept = redis.call('HMGET', KEYS[2], 'depth', 'lane')
if kept[2] == 'closed' or (not kept[2] and ARGV[2] == '1') then return {-5} end
-- read_ledger(key): what it says, false for nothing.
local function read_ledger(key)
  local known = redis.pcall('GET', key)
  return type(known) == 'table' and '?' or known
end

local fresh, seen = {}, {} -- places in ARGV of what is new; what each key says once it is stored
for k = 3, #KEYS do
  local at = 5 + (k - 3) * 5
  local known = seen[KEYS[k]] or read_ledger(KEYS[k]) or (ARGV[at + 4] ~= '' and ARGV[at + 4])
  if known and string.sub(known, 3) ~= ARGV[at] then return {-4, k - 3} end
  if not known or string.sub(known, 1, 1) ~= 'a' then
    seen[KEYS[k]] = 'a ' .. ARGV[at]
    fresh[#fresh + 1] = k
  end
end
if #fresh == 0 then return {1, 0} end
local depth = read_depth(KEYS[1], kept[1])
if is_full(KEYS[1], depth, #fresh, most) then return {-3, depth} end
if look then return {1, #fresh} end
if most > 0 and depth + #fresh > most then redis.call('HSET', KEYS[2], 'depth', 0) end
-- The ledger comes last, as a key that is remembered without its event would lose it.
add_depth(KEYS[1], KEYS[2], #fresh)
local armed = redis.call('HSETNX', KEYS[2], 'armed', '1')
for first = 1, #fresh, MAX_ITEMS do
  local lengths, channels, expiries, items, earliest = {}, {}, {}, {}, 0
  for i = first, math.min(first + MAX_ITEMS - 1, #fresh) do
    local at = 5 + (fresh[i] - 3) * 5
    local expiry = tonumber(ARGV[at + 2])
    channels[#channels + 1] = ARGV[at + 1]
    expiries[#expiries + 1] = expiry
    items[#items + 1] = ARGV[at + 3]
    lengths[#lengths + 1] = #ARGV[at + 3]
    if expiry > 0 and (earliest == 0 or expiry < earliest) then earliest = expiry end
  end
  local meta = {n = lengths, c = channels}
  if earliest > 0 then meta.x = expiries end
  redis.call('XADD', KEYS[1], '*', 'v', '1', 'n', #items, 'x', string.format('%.0f', earliest),
    'm', cjson.encode(meta), 'b', table.concat(items, ','))
end
for _, k in ipairs(fresh) do redis.call('SET', KEYS[k], seen[KEYS[k]], 'PX', ttl) end
if armed == 1 then return {4, #fresh} end
return {1, #fresh}
