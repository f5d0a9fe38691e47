-- add_entry(stream, count, expiry, meta, body, clock): append a pack to a stream, with the fields that pack.py names.
-- clock: the start of the first attempt, in ms, or nil.
local function add_entry(stream, count, expiry, meta, body, clock)
  if clock then
    redis.call('XADD', stream, '*', 'v', '1', 'n', count, 'x', expiry, 'm', meta, 'b', body, 't', clock)
  else
    redis.call('XADD', stream, '*', 'v', '1', 'n', count, 'x', expiry, 'm', meta, 'b', body)
  end
end
