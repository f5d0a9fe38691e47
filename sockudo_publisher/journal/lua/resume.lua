#!lua flags=allow-oom
-- resume: the pause is over, since its prober was answered or a person says so.
-- KEYS[1] {app}:pause  hash    reason, words, since, until, count
-- KEYS[2] {app}:probe  string  the prober's token
-- ARGV[1] token; '': by hand, whatever the pause and whoever probes
-- ARGV[2] how many pauses in a row the prober has seen
-- Returns {MISMATCH}: another one probes by now, or has paused since; the pause goes on
--   | {EMPTY}: there was none | {DONE}
-- An answer says nothing of trouble that came after its question, and a prober may have been frozen behind it.
if ARGV[1] ~= '' then
  if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return {-2} end
  redis.call('DEL', KEYS[2])
  if redis.pcall('HGET', KEYS[1], 'count') ~= ARGV[2] then return {-2} end
else
  redis.call('DEL', KEYS[2])
end
if redis.call('DEL', KEYS[1]) == 0 then return {0} end
return {1}
