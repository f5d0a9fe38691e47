#!lua flags=allow-oom
-- operator_resume: a person ends every pause of an app: that of an operator, and that of a server in trouble.
-- KEYS[1] {app}:operator_pause  hash    reason, by, since
-- KEYS[2] {app}:pause           hash    reason, message, since, until, count
-- KEYS[3] {app}:probe           string  the prober's token
-- KEYS[4] {app}:audit           stream  what operators did, newest last
-- ARGV[1] who   ARGV[2] max entries of the audit
-- Returns {EMPTY}: the app was not paused | {DONE, 1 if an operator had paused it, 1 if the server's trouble had}
-- include audit_entry
local operator_pause, pause, probe, audit = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local by, max = ARGV[1], ARGV[2]
redis.call('DEL', probe)
local ordered, troubled = redis.call('EXISTS', operator_pause), redis.call('EXISTS', pause)
if ordered + troubled == 0 then return {0} end
local reason = redis.pcall('HGET', operator_pause, 'reason')
if type(reason) ~= 'string' then reason = '' end -- there is none, or the key is of another type
add_audit(audit, max, {'action', 'resume', 'by', by, 'what', reason})
redis.call('DEL', operator_pause, pause)
return {1, ordered, troubled}
