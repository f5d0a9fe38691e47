#!lua flags=allow-oom
-- audit: record what an operator does, before it is done, or the result of it.
-- KEYS[1] {app}:audit  stream  what operators did, newest last
-- ARGV[1] max entries that are kept   ARGV[2...] names and values of the entry's fields
-- Returns {DONE, entry id}
-- include audit_entry
local audit, max = KEYS[1], ARGV[1]
local fields = {}
for i = 2, #ARGV do fields[i - 1] = ARGV[i] end
return {1, add_audit(audit, max, fields)}
