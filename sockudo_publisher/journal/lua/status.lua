#!lua flags=no-writes
-- status: what one lane holds, and how it stands. Changes nothing.
-- KEYS[1] stream  KEYS[2] state  KEYS[3] lease  KEYS[4] holds  KEYS[5] dead  KEYS[6] counts  KEYS[7] gone
-- Returns {DONE, depth, ms since its first entry came or -1, dead letters, leased, armed,
--   {held channel...}, {reason, count...}, version of its first entry where a newer release wrote it, else '',
--   {failures in a row, since ms, kind of the last} or {}, {number of a key that is of another type, the type...}}
-- The age is read here because an entry is up to 256 KiB, and its id is all that is needed.
-- include now
-- include entry
-- include depth
local kinds = {
  [KEYS[1]] = 'stream', [KEYS[2]] = 'hash', [KEYS[3]] = 'string', [KEYS[4]] = 'zset', [KEYS[5]] = 'stream',
  [KEYS[6]] = 'hash', [KEYS[7]] = 'hash',
}
local wrong, is_wrong = {}, {}
for i = 1, #KEYS do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'none' and kind ~= kinds[KEYS[i]] then
    is_wrong[i] = true
    wrong[#wrong + 1] = i
    wrong[#wrong + 1] = kind
  end
end
local depth, armed, age, version, failing = 0, 0, -1, '', {}
local oldest = not is_wrong[1] and redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if oldest then
  age = math.max(0, now_ms() - tonumber(string.match(oldest[1], '^%d+')))
  local n, _, _, _, _, newer = read_entry(oldest[2])
  version = not n and newer or ''
end
if not is_wrong[2] then
  local kept = redis.call('HMGET', KEYS[2], 'depth', 'armed', 'failures', 'failing_since', 'failure')
  depth = oldest and read_depth(KEYS[1], kept[1]) or 0
  armed = kept[2] and 1 or 0
  if kept[3] then failing = {kept[3], kept[4] or '', kept[5] or ''} end
end
return {1, depth, age, is_wrong[5] and 0 or redis.call('XLEN', KEYS[5]), redis.call('EXISTS', KEYS[3]), armed,
  is_wrong[4] and {} or redis.call('ZRANGE', KEYS[4], 0, -1), is_wrong[6] and {} or redis.call('HGETALL', KEYS[6]),
  version, failing, wrong}
