#!lua flags=allow-oom
-- take: read the next batch of a queue and mark it as about to be sent.
-- KEYS[1] stream  stream  packs, oldest first
-- KEYS[2] state   hash    head (settled items of the first pack), marker, depth
-- KEYS[3] lease   string  the holder's token
-- KEYS[4] gone    hash    "entry:index" of items behind the head that have left
-- KEYS[5] holds   zset    held channels by due time
-- KEYS[6] dead    stream  dead letters
-- KEYS[7] counts  hash    counters by reason
-- KEYS[8] dead_size  hash  bytes, aged
-- KEYS[9] latest  hash    per collapse key the number of its latest item (collapse.lua)
-- KEYS[10...] per held channel the caller knows: its hold's stream, its hold's state
-- ARGV[1] token   ARGV[2] ttl_ms   ARGV[3] max items   ARGV[4] max bytes
-- ARGV[5] 'drop' or 'dead': what happens to an expired item   ARGV[6] the channel of a held queue, '' for a lane
-- ARGV[7] max dead letters of the lane, 0 = no limit   ARGV[8] max bytes of them, 0 = no limit
-- ARGV[9...] the held channels of KEYS[10...]
-- Returns {LOST} | {EMPTY, now} | {AGAIN, now, left}: only held, expired or obsolete items so far; the head moved
--   | {UNKNOWN_VERSION, now, version}
--   | {UNREADABLE, now, 'state'}: the head or the marker (mend.lua) | {UNREADABLE, now, entry id} (quarantine.lua)
--   | {DONE, now, first_ms, marker, resent, depth, left, pack...}
--   left: {reason, number...} of the items that this call removed unsent
--   pack: entry id, item count, meta, body, first index, end index, skipped indexes ("3,7" or "")
-- The marker "FIRST_MS ENTRY INDEX [MOVES]" means: each item from the head up to (ENTRY, INDEX) may have been sent
-- since FIRST_MS; MOVES counts how often some of them have left. While there is a marker, nothing behind it is read: a
-- marked prefix never grows.
-- A batch ends before an entry that cannot be read; such an entry is answered when it is at the head. The body of a
-- pack that goes into the batch whole is not parsed.
-- include now
-- include advance
-- include counters
-- include depth
-- include dead
-- include entry
-- include add_entry
-- include part
-- include collapse
-- include obsolete

--: Items of held channels that one call moves: bounds the time Redis is busy (about 10 us each).
local MAX_MOVED = 1000
--: Items that one call looks at one by one before it answers AGAIN.
local MAX_LOOKED = 5000
--: Max ms by which a first attempt may be later than now, because a clock was set back; beyond, its time is unknown.
local MAX_AHEAD_MS = 60000

local stream, state, lease, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local holds, dead, counts, dead_size, latest = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local token, ttl_ms, max_items, max_bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local keeps_expired, own_channel = ARGV[5] == 'dead', ARGV[6]
local max_letters, max_letter_bytes = tonumber(ARGV[7]), tonumber(ARGV[8])
if redis.call('GET', lease) ~= token then return {-1} end
redis.call('PEXPIRE', lease, ttl_ms)
local now = now_ms()

local kept = redis.call('HMGET', state, 'head', 'marker', 'depth')
local head, marker, depth = tonumber(kept[1] or '0'), kept[2], kept[3]
local first_ms, end_id, end_index
local is_bad = not (head and head >= 0 and head % 1 == 0)
if marker then
  first_ms, end_id, end_index = string.match(marker, '^(%d+) (%d+%-%d+) (%d+) ?%d*$')
  end_index = tonumber(end_index)
  is_bad = is_bad or not first_ms or tonumber(first_ms) > now + MAX_AHEAD_MS
end
if is_bad then
  -- If a newer release wrote the first entry, it may have written these too: mend.lua would destroy its record.
  local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  local _, _, _, _, _, newer = read_entry(oldest and oldest[2] or {})
  if newer then return {3, now, newer} end
  return {6, now, 'state'}
end

local held, any_held = {}, false
for i = 9, #ARGV do
  if redis.call('ZSCORE', holds, ARGV[i]) then
    held[ARGV[i]] = {KEYS[(i - 9) * 2 + 10], KEYS[(i - 9) * 2 + 11]}
    any_held = true
  end
end
if any_held and depth then redis.call('HSET', state, 'depth', depth) end -- unchanged: fails early if the right that leave() needs is missing
local any_gone = redis.call('EXISTS', gone) == 1

local packs, count, bytes, moved, looked, died, obsolete = {}, 0, 0, 0, 0, 0, 0
local expired = 0
local clock -- of the first pack, when it comes from a hold
local last_id, last_index, last_whole -- how far this call read
local marked_all = false
local full, version, bad = false, nil, nil

-- leave(id, index): record that an item leaves the queue without being settled.
local function leave(id, index)
  redis.call('HSET', gone, id .. ':' .. index, '1')
  add_depth(stream, state, -1)
  moved = moved + 1
end

-- look(id, n, meta_text, body, start, stop, first): go through a pack item by item. Returns the index reached, the number of
-- items for the batch and the skipped indexes; nil if its meta cannot be read.
local function look(id, n, meta_text, body, start, stop, first)
  local meta = read_meta(meta_text, n, body)
  if not meta then return nil end
  local offset = 1
  for i = 1, start do offset = offset + meta.n[i] + 1 end
  local skipped, taken, index = {}, 0, start
  -- Only an item that was certainly not sent is obsolete when a later one comes.
  local numbers, fields, ended = nil, nil, {}
  if first and not marker and not clock then numbers, fields = latest_numbers(latest, counts, meta, n) end
  while index < stop do
    if count >= max_items or moved >= MAX_MOVED or looked >= MAX_LOOKED then full = true break end
    looked = looked + 1
    local length, channel = meta.n[index + 1], meta.c[index + 1]
    local expiry = meta.x and meta.x[index + 1] or 0
    local number, newest = first and first + index, numbers and numbers[index + 1]
    if any_gone and redis.call('HEXISTS', gone, id .. ':' .. index) == 1 then
      skipped[#skipped + 1] = index
    elseif newest and number < newest then
      obsolete = obsolete + 1
      leave(id, index)
      skipped[#skipped + 1] = index
    elseif held[channel] then
      local item = string.sub(body, offset, offset + length - 1)
      local one = cjson.encode(part_of(meta, n, index + 1, index + 1))
      add_depth(held[channel][1], held[channel][2], 1)
      add_entry(held[channel][1], 1, string.format('%.0f', expiry), one, item, marker and first_ms,
        fields and fields[index + 1] and string.format('%.0f', number))
      leave(id, index)
      skipped[#skipped + 1] = index
    elseif not marker and not clock and expiry > 0 and expiry <= now then
      tally(counts, 'expired', 1)
      expired = expired + 1
      if keeps_expired then
        add_letter(dead, dead_size, {'reason', 'expired', 'message', '', 'attempts', '0', 'first_ms', '0',
          'channel', channel, 'expiry', string.format('%.0f', expiry),
          'item', string.sub(body, offset, offset + length - 1)})
        died = died + 1
      end
      if newest and newest == number then ended[#ended + 1] = fields[index + 1] end
      leave(id, index)
      skipped[#skipped + 1] = index
    else
      if count > 0 and bytes + length > max_bytes then full = true break end
      count = count + 1
      taken = taken + 1
      bytes = bytes + length + 1
      if newest and newest == number then ended[#ended + 1] = fields[index + 1] end
    end
    offset = offset + length + 1
    index = index + 1
  end
  if #ended > 0 then redis.call('HDEL', latest, unpack(ended)) end
  return index, taken, table.concat(skipped, ',')
end

local from, size, first = '-', 8, true
while not full and not marked_all and not version and not bad do
  local chunk = redis.call('XRANGE', stream, from, '+', 'COUNT', size)
  if #chunk == 0 then break end
  for _, entry in ipairs(chunk) do
    local id = entry[1]
    if marker and before(end_id, 0, id, 0) then marked_all = true break end
    local n, expiry, meta, body, since, newer, number = read_entry(entry[2])
    if not n then
      if newer then version = newer else bad = id end
      break
    end
    if since and tonumber(since) > now + MAX_AHEAD_MS then since = '0' end
    if count > 0 and since ~= clock then full = true break end
    clock = since
    local start, stop = first and head or 0, n
    if first and start >= n then return {6, now, 'state'} end
    first = false
    if id == end_id then
      stop = math.min(end_index, n)
      if stop <= start then marked_all = true break end
    end
    local reached, taken, skipped = stop, stop - start, ''
    if any_held or any_gone or ((number or expiry ~= '0') and not marker)
        or count + taken > max_items or bytes + #body > max_bytes then
      reached, taken, skipped = look(id, n, meta, body, start, stop, number)
      if not reached then bad = id break end
    else
      count = count + taken
      bytes = bytes + #body + 1
    end
    if taken > 0 then
      for _, part in ipairs({id, n, meta, body, start, reached, skipped}) do packs[#packs + 1] = part end
    end
    if reached > start or reached == n then last_id, last_index, last_whole = id, reached, reached == n and '1' or '0' end
    if id == end_id and reached == stop then marked_all = true end
    if full or marked_all then break end
    if count >= max_items then full = true break end
  end
  from = '(' .. chunk[#chunk][1]
  size = math.min(size * 2, 128)
end

if obsolete > 0 then tally(counts, 'collapsed', obsolete) end
if died > 0 then trim_dead(dead, dead_size, counts, max_letters, max_letter_bytes, died + MAX_TRIMMED) end

if marker and not marked_all and (last_id or not version) then
  -- A marker whose end is no entry would also cover an entry that is appended there later.
  local ends = redis.call('XRANGE', stream, end_id, end_id)[1]
  if not ends or ends[1] ~= end_id then return {6, now, 'state'} end
end
local left = expired > 0 and {'expired', expired} or {}
if obsolete > 0 then left[#left + 1], left[#left + 2] = 'collapsed', obsolete end
if count > 0 then
  local resent = (marker or clock) and '1' or '0'
  if not marker then
    first_ms = clock or string.format('%.0f', now)
    marker = first_ms .. ' ' .. last_id .. ' ' .. string.format('%.0f', last_index)
    redis.call('HSET', state, 'marker', marker)
  elseif moved > 0 then
    marker = moved_marker(marker)
    redis.call('HSET', state, 'marker', marker)
  end
  local answer = {1, now, first_ms, marker, resent, depth, left}
  for _, part in ipairs(packs) do answer[#answer + 1] = part end
  return answer
end
if last_id then
  -- All items up to here have left: the head moves without a request. A marker that ends here is deleted.
  advance(stream, state, gone, last_id, last_index, last_whole)
  if marked_all then
    redis.call('HDEL', state, 'marker')
  elseif marker then
    redis.call('HSET', state, 'marker', moved_marker(marker))
  end
  end_if_empty(stream, state, holds, own_channel)
  return {2, now, left}
end
if marked_all then -- the marker ends before the head: all its items have left
  redis.call('HDEL', state, 'marker')
  return {2, now, left}
end
if bad then return {6, now, bad} end
if version then return {3, now, version} end
return {0, now}
