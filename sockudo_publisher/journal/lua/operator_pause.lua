#!lua flags=allow-oom
-- operator_pause: a person pauses an app: nothing is sent to it for the first time until a person resumes it.
-- KEYS[1] {app}:operator_pause  hash    reason, by, since
-- KEYS[2] {app}:audit           stream  what operators did, newest last
-- ARGV[1] reason   ARGV[2] who   ARGV[3] max entries of the audit
-- Returns {DONE, since ms, reason before}; the reason is '' if the app was not paused
-- A second pause replaces reason and person, and keeps since. No probe and no trouble changes this key.
-- include now
-- include audit_entry
local pause, audit = KEYS[1], KEYS[2]
local reason, by, max = ARGV[1], ARGV[2], ARGV[3]
if not string.find('none hash', redis.call('TYPE', pause).ok, 1, true) then redis.call('DEL', pause) end
add_audit(audit, max, {'action', 'pause', 'by', by, 'what', reason})
local before = redis.call('HGET', pause, 'reason') or ''
redis.call('HSETNX', pause, 'since', string.format('%.0f', now_ms()))
redis.call('HSET', pause, 'reason', reason, 'by', by)
return {1, redis.call('HGET', pause, 'since'), before}
