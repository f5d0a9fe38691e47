#!lua flags=allow-oom
-- resume: end the pause, because the server has answered its prober or because a person wants it.
-- KEYS[1] {app}:pause  hash    reason, message, since, until, count
-- KEYS[2] {app}:probe  string  the prober's token
-- ARGV[1] token; '': by hand, for any pause and any prober
-- ARGV[2] how many pauses in a row the prober has seen
-- Returns {MISMATCH}: another worker probes, or the app was paused again; the pause goes on
--   | {EMPTY}: there was no pause | {DONE}
-- An answer proves nothing about trouble that came after its request, and a prober may have been frozen since.
local pause, probe = KEYS[1], KEYS[2]
local token, count = ARGV[1], ARGV[2]
if token ~= '' then
  if redis.pcall('GET', probe) ~= token then return {-2} end
  redis.call('DEL', probe)
  if redis.pcall('HGET', pause, 'count') ~= count then return {-2} end
else
  redis.call('DEL', probe)
end
if redis.call('DEL', pause) == 0 then return {0} end
return {1}
