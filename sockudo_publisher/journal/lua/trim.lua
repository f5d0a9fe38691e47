#!lua flags=allow-oom
-- trim: dead letters that are too many, too large together or too old leave, oldest first.
-- KEYS[1] {app:lane}:dead       stream  dead letters of the lane
-- KEYS[2] {app:lane}:dead_size  hash    bytes; aged: the last letter whose age was looked at
-- KEYS[3] {app:lane}:counts     hash    counters by reason
-- ARGV[1] most letters, 0 = any number   ARGV[2] most bytes, 0 = any   ARGV[3] most ms of age, 0 = any
-- ARGV[4] letters that one call looks at
-- Returns {DONE} | {AGAIN}: there may be more
-- Age does not end those of reason uncertain or unreadable: they may be events that were never delivered.
-- include now
-- include counters
-- include dead
local most, age, looked = tonumber(ARGV[4]), tonumber(ARGV[3]), 0
-- Age first: what it ends makes room for those that it does not end.
if age > 0 then
  local last_ms = math.max(0, now_ms() - age)
  local last = string.format('%.0f', last_ms)
  local aged = redis.pcall('HGET', KEYS[2], 'aged')
  local aged_ms = type(aged) == 'string' and #aged <= 30 and string.match(aged, '^(%d+)%-%d+$')
  -- One that is not old names no letter that was looked at, and would keep the others from it.
  if not aged_ms or tonumber(aged_ms) > last_ms then aged = nil end
  while looked < most do
    local entries = redis.call('XRANGE', KEYS[1], aged and '(' .. aged or '-', last, 'COUNT', MAX_READ)
    if #entries == 0 then break end
    for _, entry in ipairs(entries) do
      local reason = letter_reason(entry)
      if reason ~= 'uncertain' and reason ~= 'unreadable' then drop_letter(KEYS[1], KEYS[2], KEYS[3], entry) end
      aged = entry[1]
    end
    looked = looked + #entries
  end
  -- What is before it stays for good: it is not read again.
  if looked > 0 and redis.call('XLEN', KEYS[1]) > 0 then redis.pcall('HSET', KEYS[2], 'aged', aged) end
end
local dropped = trim_dead(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[1]), tonumber(ARGV[2]), most)
if looked >= most or dropped >= most then return {2} end
return {1}
