#!lua
-- schedule: keep items of one message id in a bucket until they are due.
-- KEYS[1] {app:due}:times          zset    "SEQ ID" -> due time in ms; +inf: parked (due.lua)
-- KEYS[2] {app:due}:items          hash    ID -> its entries (record.lua)
-- KEYS[3] {app:due}:cancelled:KEY  string  what was cancelled of this ID (cancel.lua)
-- ARGV[1] ID   ARGV[2] due time, ms
-- ARGV[3...] per item: channel, fingerprint, meta (JSON), body
-- Returns {CONFLICT, index of an item that is scheduled with another payload} | {UNREADABLE}: nothing is stored
--   | {DONE, number added}: the others were scheduled before, and keep their due time
-- Equal due times keep the order of the calls. The record comes before its name in `times`, which makes it due.
-- include record
local times, items, cancelled = KEYS[1], KEYS[2], KEYS[3]
local id, due = ARGV[1], tonumber(ARGV[2])
local kept = redis.call('HGET', items, id)
local entries = {}
if kept then
  entries = read_record(kept)
  if not entries then return {6} end
end
local seq = -1
local last = redis.call('ZREVRANGEBYSCORE', times, due, due, 'LIMIT', 0, 1)[1]
if last then seq = split_name(last) or -1 end
local known, channels = {}, {} -- entries that this call does not add; the channel of each entry
for k, entry in ipairs(entries) do
  local ok, meta = pcall(cjson.decode, entry[4])
  if not ok or type(meta) ~= 'table' or type(meta.c) ~= 'table' then return {6} end
  channels[meta.c[1]] = k
  seq = math.max(seq, entry[1])
end
local added = {}
for i = 3, #ARGV, 4 do
  local k = channels[ARGV[i]]
  if not k then
    seq = seq + 1
    added[#added + 1] = {seq, due, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]}
  elseif entries[k][3] ~= ARGV[i + 1] then
    return {-4, (i - 3) / 4}
  else
    known[#known + 1] = entries[k]
  end
end
for _, entry in ipairs(added) do entries[#entries + 1] = entry end
if #added > 0 then redis.call('HSET', items, id, write_record(entries)) end
for _, entry in ipairs(added) do redis.call('ZADD', times, entry[2], name_of(entry[1], id)) end
-- A call that failed in the middle is repeated: its record may be without a name.
for _, entry in ipairs(known) do redis.call('ZADD', times, 'NX', entry[2], name_of(entry[1], id)) end
redis.call('DEL', cancelled)
return {1, #added}
