#!lua flags=allow-oom
-- free_key: forget a key whose scheduled event was cancelled.
-- KEYS[1] {app:lane}:ledger:CHANNEL:KEY  string  "a FINGERPRINT" appended | "s FINGERPRINT" scheduled
-- ARGV[1] fingerprint of the event
-- Returns {EMPTY}: the key is not known, or another event has it | {DONE}
local ledger, fingerprint = KEYS[1], ARGV[1]
if redis.pcall('GET', ledger) ~= 's ' .. fingerprint then return {0} end
redis.call('DEL', ledger)
return {1}
