-- add_entry(stream, count, expiry, meta, body, clock, first): append a pack to a stream, with the fields that pack.py
-- names. clock: the start of the first attempt, in ms, or nil. first: the number of the first item (collapse.lua), or nil.
local function add_entry(stream, count, expiry, meta, body, clock, first)
  if clock then
    redis.call('XADD', stream, '*', 'v', '1', 'n', count, 'x', expiry, 'm', meta, 'b', body, 't', clock)
  elseif first then
    redis.call('XADD', stream, '*', 'v', '1', 'n', count, 'x', expiry, 'm', meta, 'b', body, 'f', first)
  else
    redis.call('XADD', stream, '*', 'v', '1', 'n', count, 'x', expiry, 'm', meta, 'b', body)
  end
end
