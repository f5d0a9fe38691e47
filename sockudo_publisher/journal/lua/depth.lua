-- add_depth(stream, state, by): the depth of a queue changes; one that is no number is the count of its entries then.
-- Called before items come and after they have left: what fails in between has moved none of them.
local function add_depth(stream, state, by)
  local answer = redis.pcall('HINCRBY', state, 'depth', by)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'command', 1, true) then redis.call('HINCRBY', state, 'depth', by) end -- denied: says so
    redis.call('HSET', state, 'depth', redis.call('XLEN', stream) + math.max(by, 0))
  end
end

-- room_for(stream, depth, count, most): how many of `count` items a queue of at most `most` items takes (0: any number),
-- and its true depth: an append that failed in the middle has left it too high, and nothing waits in an empty stream.
local function room_for(stream, depth, count, most)
  if most == 0 or depth + count <= most then return count, depth end
  if redis.call('XLEN', stream) == 0 then depth = 0 end
  return math.max(0, math.min(count, most - depth)), depth
end

-- read_depth(stream, text): the depth as the state says it, or the count of the entries where that is no number.
local function read_depth(stream, text)
  local depth = tonumber(text or '0')
  if depth and depth % 1 == 0 and depth < 1e15 then return depth end
  return redis.call('XLEN', stream)
end
