#!lua flags=allow-oom
-- trim: drop dead letters that are too many, too large together or too old, oldest first.
-- KEYS[1] {app:lane}:dead       stream  dead letters of the lane
-- KEYS[2] {app:lane}:dead_size  hash    bytes; aged: the last letter whose age was looked at
-- KEYS[3] {app:lane}:counts     hash    counters by reason
-- ARGV[1] max letters, 0 = no limit   ARGV[2] max bytes, 0 = no limit   ARGV[3] max ms of age, 0 = no limit
-- ARGV[4] letters that one call looks at
-- Returns {DONE} | {AGAIN}: there may be more
-- Age drops no letter of reason uncertain or unreadable: it may be an event that was never delivered.
-- include now
-- include counters
-- include dead
local dead, dead_size, counts = KEYS[1], KEYS[2], KEYS[3]
local max_letters, max_bytes, max_age_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local max_looked, looked = tonumber(ARGV[4]), 0
-- Age first: what it drops makes room for the letters that have no age limit.
if max_age_ms > 0 then
  local last_ms = math.max(0, now_ms() - max_age_ms)
  local last = string.format('%.0f', last_ms)
  local aged = redis.pcall('HGET', dead_size, 'aged')
  local aged_ms = type(aged) == 'string' and #aged <= 30 and string.match(aged, '^(%d+)%-%d+$')
  -- A value that is not old names no letter that was looked at: it would hide the letters before it.
  if not aged_ms or tonumber(aged_ms) > last_ms then aged = nil end
  while looked < max_looked do
    local entries = redis.call('XRANGE', dead, aged and '(' .. aged or '-', last, 'COUNT', MAX_READ)
    if #entries == 0 then break end
    for _, entry in ipairs(entries) do
      local reason = letter_reason(entry)
      if reason ~= 'uncertain' and reason ~= 'unreadable' then drop_letter(dead, dead_size, counts, entry) end
      aged = entry[1]
    end
    looked = looked + #entries
  end
  -- The letters before `aged` stay for good: they are not read again.
  if looked > 0 and redis.call('XLEN', dead) > 0 then redis.pcall('HSET', dead_size, 'aged', aged) end
end
local dropped = trim_dead(dead, dead_size, counts, max_letters, max_bytes, max_looked)
if looked >= max_looked or dropped >= max_looked then return {2} end
return {1}
