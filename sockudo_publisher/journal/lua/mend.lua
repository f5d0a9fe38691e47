#!lua flags=allow-oom
-- mend: the head's place or the marker cannot be read: what one batch holds may have been sent, at a time unknown.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] counts
-- ARGV[1] token   ARGV[2] ttl_ms   ARGV[3] most items of a batch
-- Returns {LOST} | {DONE}
-- Where only the end of the marker is wrong, its time stays. A head that cannot be read begins at the entry's start:
-- an item that had left may go out once more, and none is lost.
-- include now
-- include advance
-- include entry
-- include counters
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return {-1} end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
local stream, state, most = KEYS[1], KEYS[2], tonumber(ARGV[3])
local kept = redis.call('HMGET', state, 'head', 'marker')
local head, marker = tonumber(kept[1] or '0'), kept[2]
local first_ms, end_id = nil, nil
if marker then first_ms, end_id = string.match(marker, '^(%d+) (%d+%-%d+) %d+ ?%d*$') end
if first_ms and tonumber(first_ms) > now_ms() then first_ms = nil end
local ends = end_id and redis.call('XRANGE', stream, end_id, end_id)[1]
if not ends or ends[1] ~= end_id then ends = nil end

-- Up to where: the marker's end where that is an entry, else as much as a batch holds.
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
    if ends and entry[1] == end_id or not ends and items >= most then done = true break end
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
tally(KEYS[4], 'unreadable_state', 1)
return {1}
