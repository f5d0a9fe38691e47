#!lua flags=allow-oom
-- cancel: take back the events of one message id that wait in a bucket.
-- KEYS[1] {app:due}:times          zset    "SEQ ID" -> due time in ms; +inf: parked
-- KEYS[2] {app:due}:items          hash    ID -> its entries (record.lua)
-- KEYS[3] {app:due}:claimed        set     names of the events that a worker is storing
-- KEYS[4] {app:due}:cancelled:KEY  string  what was cancelled of this ID: meta, fingerprint of each
-- ARGV[1] ID   ARGV[2] how long it is known that this ID was cancelled, ms
-- Returns {EMPTY}: the bucket has nothing of this ID, and had nothing that was cancelled
--   | {UNREADABLE}: a record that could not be read is deleted
--   | {DONE, {meta, fingerprint of each that was taken back...}, {meta of each that is being stored...},
--      {meta, fingerprint of each that was taken back before...}}
-- include record
--: Parked names that are looked at for a record that cannot be read.
local MAX_PARKED = 10000

local times, items, claimed, cancelled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, ttl_ms = ARGV[1], ARGV[2]
local kept, before = redis.call('HGET', items, id), redis.pcall('GET', cancelled)
local ok, earlier = false, {}
if type(before) == 'string' then ok, earlier = pcall(cmsgpack.unpack, before) end
if not ok or type(earlier) ~= 'table' then earlier = {} end
if not kept then
  if #earlier == 0 then return {0} end
  return {1, {}, {}, earlier}
end
local entries = read_record(kept)
if not entries then
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', times, '+inf', '+inf', 'LIMIT', 0, MAX_PARKED)) do
    local _, named = split_name(name)
    if named == id then redis.call('ZREM', times, name) end
  end
  redis.call('HDEL', items, id)
  return {6}
end
local taken, late, left, all = {}, {}, {}, {}
for _, part in ipairs(earlier) do all[#all + 1] = part end
for _, entry in ipairs(entries) do
  local name = name_of(entry[1], id)
  if redis.call('SISMEMBER', claimed, name) == 1 then
    left[#left + 1] = entry
    late[#late + 1] = entry[4]
  else
    redis.call('ZREM', times, name)
    for _, part in ipairs({entry[4], entry[3]}) do
      taken[#taken + 1] = part
      all[#all + 1] = part
    end
  end
end
if #left == 0 then
  redis.call('HDEL', items, id)
elseif #taken > 0 then
  redis.call('HSET', items, id, write_record(left))
end
-- Last: an id that is known as cancelled has nothing that waits.
if #taken > 0 then redis.call('SET', cancelled, cmsgpack.pack(all), 'PX', ttl_ms) end
return {1, taken, late, earlier}
