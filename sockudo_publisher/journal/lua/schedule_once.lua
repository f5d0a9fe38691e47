#!lua
-- schedule_once: record the payload of a key whose event is stored later: it is scheduled, or in a canvas' message.
-- KEYS[1] {app:lane}:ledger:CHANNEL:KEY  string  "a FINGERPRINT" appended | "s FINGERPRINT" scheduled
-- KEYS[2] {app:lane}:state  hash  lane (mark.lua), keys_until: when the last event of a key here is due, ms
-- ARGV[1] fingerprint   ARGV[2] how long the record is kept, ms
-- ARGV[3] "1": only look, change nothing (of several channels all are looked at first)
-- ARGV[4] '1': only a lane that was marked open, '0': a first layout's lanes need no mark
-- ARGV[5] what an earlier layout's ledger holds or ''
-- ARGV[6] when the event is due, ms; 0: unknown
-- Returns {CLOSED} | {CONFLICT} | {EMPTY}: already appended, nothing to schedule | {DONE}
local ledger, state = KEYS[1], KEYS[2]
local fingerprint, ttl_ms, only_looks = ARGV[1], ARGV[2], ARGV[3] == '1'
local needs_mark, earlier, due = ARGV[4] == '1', ARGV[5], tonumber(ARGV[6])
local kept = redis.call('HMGET', state, 'lane', 'keys_until')
if kept[1] == 'closed' or (not kept[1] and needs_mark) then return {-5} end
local known = redis.pcall('GET', ledger) or (earlier ~= '' and earlier)
if type(known) == 'table' then return {-4} end -- not a ledger: whether its event is stored is unknown
if known and string.sub(known, 3) ~= fingerprint then return {-4} end
if known and string.sub(known, 1, 1) == 'a' then return {0} end
if only_looks then return {1} end
-- First: a layout is kept for its keys (layout.py), and never forgotten before them.
local until_ms = tonumber(kept[2] or '0') or 0
if not (until_ms >= 0 and until_ms < 1e15) then until_ms = 0 end
if due > until_ms then redis.call('HSET', state, 'keys_until', string.format('%.0f', due)) end
-- A repeat with an earlier due time leaves the event where it is, and its key as long as it is.
if redis.call('PTTL', ledger) < tonumber(ttl_ms) then redis.call('SET', ledger, 's ' .. fingerprint, 'PX', ttl_ms) end
return {1}
