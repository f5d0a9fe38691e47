#!lua
-- schedule_once: remember the payload of a key whose event was handed to a countdown message.
-- KEYS[1] {app:lane}:ledger:CHANNEL:KEY  string  "a FINGERPRINT" | "s FINGERPRINT"
-- ARGV[1] fingerprint   ARGV[2] how long it is remembered, ms
-- ARGV[3] "1": only look, change nothing (several channels are all looked at first)
-- Returns {CONFLICT} | {EMPTY}: already appended, nothing to schedule | {DONE}
local known = redis.call('GET', KEYS[1])
if known and string.sub(known, 3) ~= ARGV[1] then return {-4} end
if known and string.sub(known, 1, 1) == 'a' then return {0} end
if ARGV[3] == '1' then return {1} end
redis.call('SET', KEYS[1], 's ' .. ARGV[1], 'PX', ARGV[2])
return {1}
