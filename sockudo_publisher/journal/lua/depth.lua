-- add_depth(stream, state, by): the depth of a queue changes; one that is no number is the count of its entries then.
-- Called before items come and after they have left: what fails in between has moved none of them.
local function add_depth(stream, state, by)
  local answer = redis.pcall('HINCRBY', state, 'depth', by)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'command', 1, true) then redis.call('HINCRBY', state, 'depth', by) end -- denied: says so
    redis.call('HSET', state, 'depth', redis.call('XLEN', stream) + math.max(by, 0))
  end
end

-- is_full(stream, depth, by, most): whether so many more are too many (0: any number). An append that failed in the middle
-- has left the depth too high: nothing waits in an empty stream.
local function is_full(stream, depth, by, most)
  return most > 0 and depth + by > most and (by > most or redis.call('XLEN', stream) > 0)
end

-- read_depth(stream, text): the depth as the state says it, or the count of the entries where that is no number.
local function read_depth(stream, text)
  local depth = tonumber(text or '0')
  if depth and depth % 1 == 0 and depth < 1e15 then return depth end
  return redis.call('XLEN', stream)
end
