-- tally(counts, name, by): add to a counter; one that is no number, or in no hash, begins anew, and that is counted.
-- An error here would come after what is counted was done: it would be done, and counted, for ever.
local function tally(counts, name, by)
  local answer = redis.pcall('HINCRBY', counts, name, by)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'WRONGTYPE', 1, true) then
      redis.call('DEL', counts)
    elseif not string.find(answer.err, 'command', 1, true) then -- a command that is denied is no counter's fault
      redis.call('HDEL', counts, name)
    end
    redis.call('HINCRBY', counts, name, by)
    redis.pcall('HINCRBY', counts, 'unreadable_records', 1)
  end
end
