-- add_depth(stream, state, by): change the depth of a queue; a depth that is not a number becomes the count of its
-- entries. Called before items are added and after they have left: a failure in between moves none of them.
local function add_depth(stream, state, by)
  local answer = redis.pcall('HINCRBY', state, 'depth', by)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'command', 1, true) then redis.call('HINCRBY', state, 'depth', by) end -- denied: raises
    redis.call('HSET', state, 'depth', redis.call('XLEN', stream) + math.max(by, 0))
  end
end

-- is_full(stream, depth, by, most): whether `by` more items exceed `most` (0: no limit). An append that failed in the
-- middle leaves the depth too high, so a depth above 0 does not count in an empty stream.
local function is_full(stream, depth, by, most)
  return most > 0 and depth + by > most and (by > most or redis.call('XLEN', stream) > 0)
end

-- read_depth(stream, text): the depth in the state, or the count of the entries if that is not a number.
local function read_depth(stream, text)
  local depth = tonumber(text or '0')
  if depth and depth % 1 == 0 and depth < 1e15 then return depth end
  return redis.call('XLEN', stream)
end
