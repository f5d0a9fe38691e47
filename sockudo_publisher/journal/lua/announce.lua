#!lua flags=allow-oom
-- announce: a worker records which Sockudo app it delivers an app's events to, and reads the records of the others.
-- KEYS[1] {app}:workers  hash  owner -> "SINCE_MS SEEN_MS RECORD"; expires after the last worker
-- ARGV[1] owner, unique   ARGV[2] its record   ARGV[3] ms after its last announcement at which a worker counts as dead
-- Returns {DONE, owner, value, owner, value...}: all live workers, the caller among them
-- SINCE_MS stays the same while the worker is alive: of two that contradict each other, the later one stops.
-- include now
local workers = KEYS[1]
local owner, record, ttl_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = now_ms()
local since = now
local kept = redis.pcall('HGETALL', workers)
if kept.err then -- the key is not a hash: deleted; a command that is denied is no fault of the record
  if not string.find(kept.err, 'WRONGTYPE', 1, true) then redis.call('HGETALL', workers) end
  redis.call('DEL', workers)
  kept = {}
end
local answer = {1}
for i = 1, #kept, 2 do
  local first, seen = string.match(kept[i + 1], '^(%d+) (%d+) ')
  if not seen or math.abs(now - tonumber(seen)) > ttl_ms then -- a clock that is set back revives no worker
    redis.call('HDEL', workers, kept[i])
  elseif kept[i] == owner then
    since = tonumber(first)
  else
    answer[#answer + 1] = kept[i]
    answer[#answer + 1] = kept[i + 1]
  end
end
local value = string.format('%.0f %.0f %s', since, now, record)
redis.call('HSET', workers, owner, value)
redis.call('PEXPIRE', workers, ttl_ms)
answer[#answer + 1] = owner
answer[#answer + 1] = value
return answer
