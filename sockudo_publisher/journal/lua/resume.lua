#!lua flags=allow-oom
-- resume: end the pause of an app, because the server has answered its prober (a person: operator_resume.lua).
-- KEYS[1] {app}:pause  hash    reason, message, since, until, count
-- KEYS[2] {app}:probe  string  the prober's token
-- ARGV[1] token
-- ARGV[2] how many pauses in a row the prober has seen
-- Returns {MISMATCH}: another worker probes, or the app was paused again; the pause goes on
--   | {DONE}
-- An answer proves nothing about trouble that came after its request, and a prober may have been frozen since.
local pause, probe = KEYS[1], KEYS[2]
local token, count = ARGV[1], ARGV[2]
if redis.pcall('GET', probe) ~= token then return {-2} end
redis.call('DEL', probe)
if redis.pcall('HGET', pause, 'count') ~= count then return {-2} end
redis.call('DEL', pause)
return {1}
