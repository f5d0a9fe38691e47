#!lua flags=allow-oom
-- learn: remember batch limits that the server has shown; the smaller of old and new holds.
-- KEYS[1] {app}:limits  hash  events, bytes
-- ARGV[1] ttl_s   ARGV[2...] per limit: its name, its number
-- Returns {DONE}
if not string.find('none hash', redis.call('TYPE', KEYS[1]).ok, 1, true) then redis.call('DEL', KEYS[1]) end
for i = 2, #ARGV, 2 do
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '')
  if not (known and known >= 1 and known <= tonumber(ARGV[i + 1])) then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return {1}
