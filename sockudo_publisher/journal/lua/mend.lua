#!lua flags=allow-oom
-- mend: the head or the marker cannot be read: mark one batch's worth of items as sent at an unknown time.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] counts
-- ARGV[1] token   ARGV[2] ttl_ms   ARGV[3] max items of a batch
-- Returns {LOST} | {DONE}
-- If only the end of the marker is wrong, its time stays. A head that cannot be read becomes the entry's start:
-- an item that had left may be sent once more, and none is lost.
-- include now
-- include advance
-- include entry
-- include counters
local stream, state, lease, counts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, ttl_ms, max_items = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('GET', lease) ~= token then return {-1} end
redis.call('PEXPIRE', lease, ttl_ms)
local kept = redis.call('HMGET', state, 'head', 'marker')
local head, marker = tonumber(kept[1] or '0'), kept[2]
local first_ms, end_id = nil, nil
if marker then first_ms, end_id = string.match(marker, '^(%d+) (%d+%-%d+) %d+ ?%d*$') end
if first_ms and tonumber(first_ms) > now_ms() then first_ms = nil end
local ends = end_id and redis.call('XRANGE', stream, end_id, end_id)[1]
if not ends or ends[1] ~= end_id then ends = nil end

-- The new marker ends where the old one did, if that is an entry; else after as many items as a batch holds.
local items, last_id, last_index = 0, nil, nil
local from, done, head_is_good = '-', false, head and head >= 0 and head % 1 == 0
while not done do
  local chunk = redis.call('XRANGE', stream, from, '+', 'COUNT', 8)
  if #chunk == 0 then break end
  for _, entry in ipairs(chunk) do
    local n, _, _, _, _, newer = read_entry(entry[2])
    if newer then done = true break end
    if not last_id and head_is_good and head > 0 and n and head >= n then head_is_good = false end
    last_id, last_index = entry[1], n or 1
    items = items + last_index
    if ends and entry[1] == end_id or not ends and items >= max_items then done = true break end
  end
  from = '(' .. chunk[#chunk][1]
end

if not head_is_good then
  redis.call('HDEL', state, 'head')
  first_ms = nil
end
if last_id then
  redis.call('HSET', state, 'marker', string.format('%s %s %.0f 1', first_ms or '0', last_id, last_index))
else
  redis.call('HDEL', state, 'head', 'marker')
end
tally(counts, 'unreadable_state', 1)
return {1}
