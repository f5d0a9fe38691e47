-- add_audit(audit, max, fields): add what an operator does to the app's audit; the oldest entries beyond `max` leave.
-- Returns the entry's id. Called before the change that it records, so that no change is made without it.
local function add_audit(audit, max, fields)
  local id = redis.pcall('XADD', audit, 'MAXLEN', max, '*', unpack(fields))
  if type(id) == 'table' then
    if string.find(id.err, 'command', 1, true) then redis.call('XADD', audit, '*', unpack(fields)) end -- denied: raises
    redis.call('DEL', audit) -- not a stream, or one that takes no more ids: it begins anew
    id = redis.call('XADD', audit, '*', unpack(fields))
  end
  return id
end
