-- add_depth(stream, state, by): change the depth of a queue; a depth that is not a number becomes the count of its
-- entries. Called before items are added and after they have left: a failure in between moves none of them.
local function add_depth(stream, state, by)
  local answer = redis.pcall('HINCRBY', state, 'depth', by)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'command', 1, true) then redis.call('HINCRBY', state, 'depth', by) end -- denied: raises
    redis.call('HSET', state, 'depth', redis.call('XLEN', stream) + math.max(by, 0))
  end
end

-- room_for(stream, depth, count, most): how many of `count` items fit into a queue of at most `most` items (0: no
-- limit), and its true depth: an append that failed in the middle leaves the depth too high; an empty stream has 0.
local function room_for(stream, depth, count, most)
  if most == 0 or depth + count <= most then return count, depth end
  if redis.call('XLEN', stream) == 0 then depth = 0 end
  return math.max(0, math.min(count, most - depth)), depth
end

-- read_depth(stream, text): the depth in the state, or the count of the entries if that is not a number.
local function read_depth(stream, text)
  local depth = tonumber(text or '0')
  if depth and depth % 1 == 0 and depth < 1e15 then return depth end
  return redis.call('XLEN', stream)
end
