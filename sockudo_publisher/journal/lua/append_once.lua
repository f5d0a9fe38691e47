#!lua
-- append_once: append items that carry a key, each at most once per key.
-- KEYS[1] {app:lane}:stream  stream  packs, oldest first
-- KEYS[2] {app:lane}:state   hash    depth, armed
-- KEYS[3...] {app:lane}:ledger:CHANNEL:KEY  string  "a FINGERPRINT" appended | "s FINGERPRINT" scheduled
-- ARGV[1] most items the lane may hold, 0 = any number
-- ARGV[2] how long a key is remembered, ms
-- ARGV[3] '1': only look (conflict, backlog), change nothing
-- ARGV[4...] per key: fingerprint, channel, expiry in ms or 0, item
-- Returns {FULL, depth} | {CONFLICT, index of the first key used with another payload}
--   | {DONE or RING, number appended}: keys already appended are passed over
local most, ttl, look = tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1'
local lengths, channels, expiries, items, fresh = {}, {}, {}, {}, {}
local earliest, seen = 0, {}
for k = 3, #KEYS do
  local at = 4 + (k - 3) * 4
  local known = seen[KEYS[k]] or redis.call('GET', KEYS[k])
  if known and string.sub(known, 3) ~= ARGV[at] then return {-4, k - 3} end
  if not known or string.sub(known, 1, 1) ~= 'a' then
    local expiry = tonumber(ARGV[at + 2])
    lengths[#lengths + 1] = #ARGV[at + 3]
    channels[#channels + 1] = ARGV[at + 1]
    expiries[#expiries + 1] = expiry
    items[#items + 1] = ARGV[at + 3]
    fresh[#fresh + 1] = k
    seen[KEYS[k]] = 'a ' .. ARGV[at]
    if expiry > 0 and (earliest == 0 or expiry < earliest) then earliest = expiry end
  end
end
if #items == 0 then return {1, 0} end
local depth = tonumber(redis.call('HGET', KEYS[2], 'depth') or '0')
if most > 0 and depth + #items > most then return {-3, depth} end
if look then return {1, #items} end
local meta = {n = lengths, c = channels}
if earliest > 0 then meta.x = expiries end
redis.call('XADD', KEYS[1], '*', 'v', '1', 'n', #items, 'x', string.format('%.0f', earliest),
  'm', cjson.encode(meta), 'b', table.concat(items, ','))
for _, k in ipairs(fresh) do redis.call('SET', KEYS[k], seen[KEYS[k]], 'PX', ttl) end
redis.call('HINCRBY', KEYS[2], 'depth', #items)
if redis.call('HSETNX', KEYS[2], 'armed', '1') == 1 then return {4, #items} end
return {1, #items}
