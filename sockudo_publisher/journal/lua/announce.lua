#!lua flags=allow-oom
-- announce: a worker says which Sockudo app it delivers an app's events to, and learns what the others say.
-- KEYS[1] {app}:workers  hash  owner -> "SINCE_MS SEEN_MS RECORD"; ends with the last worker
-- ARGV[1] owner, unique   ARGV[2] its record   ARGV[3] ms without a word after which a worker counts as dead
-- Returns {DONE, owner, value, owner, value...}: all live workers, the caller among them
-- SINCE is kept while the worker is alive: of two that contradict each other, the later one leaves.
-- include now
local now, ttl = now_ms(), tonumber(ARGV[3])
local since = now
local kept = redis.pcall('HGETALL', KEYS[1])
if kept.err then -- no hash: begun anew; a command that is denied is no record's fault
  if not string.find(kept.err, 'WRONGTYPE', 1, true) then redis.call('HGETALL', KEYS[1]) end
  redis.call('DEL', KEYS[1])
  kept = {}
end
local answer = {1}
for i = 1, #kept, 2 do
  local first, seen = string.match(kept[i + 1], '^(%d+) (%d+) ')
  if not seen or math.abs(now - tonumber(seen)) > ttl then -- a clock that is set back revives no worker
    redis.call('HDEL', KEYS[1], kept[i])
  elseif kept[i] == ARGV[1] then
    since = tonumber(first)
  else
    answer[#answer + 1] = kept[i]
    answer[#answer + 1] = kept[i + 1]
  end
end
local value = string.format('%.0f %.0f %s', since, now, ARGV[2])
redis.call('HSET', KEYS[1], ARGV[1], value)
redis.call('PEXPIRE', KEYS[1], ttl)
answer[#answer + 1] = ARGV[1]
answer[#answer + 1] = value
return answer
