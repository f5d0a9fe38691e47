#!lua flags=no-writes
-- status: what one lane holds, and how it stands. Changes nothing.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] holds  KEYS[5] dead  KEYS[6] counts  KEYS[7] gone
-- KEYS[8] latest
-- Returns {DONE, depth, ms since its first entry came or -1, dead letters, leased, armed,
--   {held channel...}, {reason, count...}, version of its first entry where a newer release wrote it, else '',
--   {failures in a row, since ms, kind of the last} or {}, {number of a key that is of another type, the type...}}
-- The age is computed here because an entry is up to 256 KiB, and only its id is needed.
-- include now
-- include entry
-- include depth
local stream, state, lease, holds, dead, counts, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local latest = KEYS[8]
local kinds = {
  [stream] = 'stream', [state] = 'hash', [lease] = 'string', [holds] = 'zset', [dead] = 'stream',
  [counts] = 'hash', [gone] = 'hash', [latest] = 'hash',
}
local wrong, is_wrong = {}, {}
for i = 1, #KEYS do
  local key = KEYS[i]
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= kinds[key] then
    is_wrong[key] = true
    wrong[#wrong + 1] = i
    wrong[#wrong + 1] = kind
  end
end
local depth, armed, age, version, failing = 0, 0, -1, '', {}
local oldest = not is_wrong[stream] and redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
if oldest then
  age = math.max(0, now_ms() - tonumber(string.match(oldest[1], '^%d+')))
  local n, _, _, _, _, newer = read_entry(oldest[2])
  version = not n and newer or ''
end
if not is_wrong[state] then
  local kept = redis.call('HMGET', state, 'depth', 'armed', 'failures', 'failing_since', 'failure')
  depth = oldest and read_depth(stream, kept[1]) or 0
  armed = kept[2] and 1 or 0
  if kept[3] then failing = {kept[3], kept[4] or '', kept[5] or ''} end
end
return {1, depth, age, is_wrong[dead] and 0 or redis.call('XLEN', dead), redis.call('EXISTS', lease), armed,
  is_wrong[holds] and {} or redis.call('ZRANGE', holds, 0, -1),
  is_wrong[counts] and {} or redis.call('HGETALL', counts),
  version, failing, wrong}
