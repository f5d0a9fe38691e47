-- tally(counts, name, by): add to a counter; one that is no number, or in no hash, begins anew, and that is counted.
-- An error here would come after what is counted was done: it would be done, and counted, for ever.
local function tally(counts, name, by)
  local answer = redis.pcall('HINCRBY', counts, name, by)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'WRONGTYPE', 1, true) then
      redis.call('DEL', counts)
    else
      redis.call('HDEL', counts, name)
    end
    redis.call('HINCRBY', counts, name, by)
    redis.pcall('HINCRBY', counts, 'unreadable_records', 1)
  end
end

-- add_depth(stream, state, by): the depth of a queue changes; one that is no number is the count of its entries then.
local function add_depth(stream, state, by)
  local answer = redis.pcall('HINCRBY', state, 'depth', by)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'can', 1, true) and string.find(answer.err, 'command', 1, true) then error(answer.err) end
    redis.call('HSET', state, 'depth', redis.call('XLEN', stream))
  end
end

-- read_depth(stream, text): the depth as the state says it, or the count of the entries where that is no number.
local function read_depth(stream, text)
  local depth = tonumber(text or '0')
  if depth and depth % 1 == 0 and depth < 1e15 then return depth end
  return redis.call('XLEN', stream)
end
