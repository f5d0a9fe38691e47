-- tally(counts, name, by): add to a counter. A counter that is not a number, or a key that is not a hash, begins again
-- at 0, and that is counted. An error here would come after the counted change: the caller would repeat it for ever.
local function tally(counts, name, by)
  local answer = redis.pcall('HINCRBY', counts, name, by)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'WRONGTYPE', 1, true) then
      redis.call('DEL', counts)
    elseif not string.find(answer.err, 'command', 1, true) then -- a command that is denied is no fault of the counter
      redis.call('HDEL', counts, name)
    end
    redis.call('HINCRBY', counts, name, by)
    redis.pcall('HINCRBY', counts, 'unreadable_records', 1)
  end
end
