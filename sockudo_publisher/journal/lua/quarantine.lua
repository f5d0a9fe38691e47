#!lua flags=allow-oom
-- quarantine: an entry that cannot be read becomes a dead letter, whole and unchanged.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] gone  KEYS[5] holds  KEYS[6] counts
-- KEYS[7] dead    stream  dead letters of the lane
-- KEYS[8] dead_size  hash  bytes, aged
-- ARGV[1] token   ARGV[2] ttl_ms   ARGV[3] entry   ARGV[4] the channel of a held queue, '' for a lane   ARGV[5] why
-- Returns {LOST} | {EMPTY}: there is no such entry | {DONE}
-- The letter has no item: `raw` is the entry, each name and value as "LENGTH:BYTES,". A marked entry may be sent.
-- include advance
-- include entry
-- include counters
-- include depth
-- include dead
local stream, state, lease, gone, holds = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local counts, dead, dead_size = KEYS[6], KEYS[7], KEYS[8]
local token, ttl_ms, id, channel, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('GET', lease) ~= token then return {-1} end
redis.call('PEXPIRE', lease, ttl_ms)
local found = redis.call('XRANGE', stream, id, id)[1]
if not found then return {0} end

local raw = {}
for _, part in ipairs(found[2]) do raw[#raw + 1] = #part .. ':' .. part .. ',' end
local n, _, _, _, clock = read_entry(found[2])
local kept = redis.call('HMGET', state, 'head', 'marker')
local marker, first_ms, end_id, end_index = kept[2], nil, nil, nil
if marker then first_ms, end_id, end_index = string.match(marker, '^(%d+) (%d+%-%d+) (%d+) ?%d*$') end
local is_marked = end_id and not before(end_id, 0, id, 0)
local is_first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1][1] == id
local head = is_first and tonumber(kept[1] or '0') or 0
if head and head > 0 then why = why .. string.format('; its first %.0f items had left', head) end

redis.call('XDEL', stream, '0-0') -- deletes nothing: if XDEL is denied, no letter is written, also at the next try
add_letter(dead, dead_size, {'reason', 'unreadable', 'message', why, 'attempts', '0',
  'first_ms', clock or (is_marked and first_ms) or '0', 'maybe_delivered', (clock or is_marked) and '1' or '0',
  'channel', channel, 'expiry', '0', 'entry', id, 'raw', table.concat(raw)})
redis.call('XDEL', stream, id)
if is_first then redis.call('HDEL', state, 'head') end
local left = (n or 0) - (n and head or 0)
if redis.call('EXISTS', gone) == 1 then
  for _, position in ipairs(redis.call('HKEYS', gone)) do
    if string.sub(position, 1, #id + 1) == id .. ':' then
      redis.call('HDEL', gone, position)
      left = left - 1
    end
  end
end
if left > 0 then add_depth(stream, state, -left) end
if end_id == id then -- the marker now ends with the entry before, if there is one
  local previous = redis.call('XREVRANGE', stream, id, '-', 'COUNT', 1)[1]
  if previous then
    local count = read_entry(previous[2])
    redis.call('HSET', state, 'marker', moved_marker(string.format('%s %s %.0f', first_ms, previous[1], count or 1)))
  else
    redis.call('HDEL', state, 'marker')
  end
elseif is_marked then
  redis.call('HSET', state, 'marker', moved_marker(marker))
end
tally(counts, 'unreadable', 1)
end_if_empty(stream, state, holds, channel)
return {1}
