#!lua flags=allow-oom
-- learn: record batch limits that the server has shown; the smaller of old and new holds.
-- KEYS[1] {app}:limits  hash  events, bytes
-- ARGV[1] ttl_s   ARGV[2...] per limit: its name, its number
-- Returns {DONE}
local limits, ttl_s = KEYS[1], ARGV[1]
if not string.find('none hash', redis.call('TYPE', limits).ok, 1, true) then redis.call('DEL', limits) end
for i = 2, #ARGV, 2 do
  local name, number = ARGV[i], ARGV[i + 1]
  local known = tonumber(redis.call('HGET', limits, name) or '')
  if not (known and known >= 1 and known <= tonumber(number)) then redis.call('HSET', limits, name, number) end
end
redis.call('EXPIRE', limits, ttl_s)
return {1}
