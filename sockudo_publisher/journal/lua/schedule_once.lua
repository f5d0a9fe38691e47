#!lua
-- schedule_once: remember the payload of a key whose event was handed to a countdown message.
-- KEYS[1] {app:lane}:ledger:CHANNEL:KEY  string  "a FINGERPRINT" | "s FINGERPRINT"
-- KEYS[2] {app:lane}:state  hash  lane (mark.lua)
-- ARGV[1] fingerprint   ARGV[2] how long it is remembered, ms
-- ARGV[3] "1": only look, change nothing (several channels are all looked at first)
-- ARGV[4] '1': only a lane that was marked open, '0': a first layout's lanes need no mark
-- ARGV[5] what an earlier layout's ledger says or ''
-- Returns {CLOSED} | {CONFLICT} | {EMPTY}: already appended, nothing to schedule | {DONE}
local lane = redis.call('HGET', KEYS[2], 'lane')
if lane == 'closed' or (not lane and ARGV[4] == '1') then return {-5} end
local known = redis.pcall('GET', KEYS[1]) or (ARGV[5] ~= '' and ARGV[5])
if type(known) == 'table' then return {-4} end -- no ledger: whether its event is stored is unknown
if known and string.sub(known, 3) ~= ARGV[1] then return {-4} end
if known and string.sub(known, 1, 1) == 'a' then return {0} end
if ARGV[3] == '1' then return {1} end
redis.call('SET', KEYS[1], 's ' .. ARGV[1], 'PX', ARGV[2])
return {1}
