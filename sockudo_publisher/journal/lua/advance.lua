-- less(a, b): whether a decimal number is smaller; as text, because the parts of an id go beyond what a double holds.
local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

-- before(id_a, index_a, id_b, index_b): whether one place in a stream comes before another.
local function before(id_a, index_a, id_b, index_b)
  local ms_a, seq_a = string.match(id_a, '^(%d+)-(%d+)$')
  local ms_b, seq_b = string.match(id_b, '^(%d+)-(%d+)$')
  if ms_a ~= ms_b then return less(ms_a, ms_b) end
  if seq_a ~= seq_b then return less(seq_a, seq_b) end
  return index_a < index_b
end

-- advance(stream, state, gone, id, index, whole): the head moves to (id, index); all before it is
-- deleted. whole = '1': index is the end of the entry, so the entry goes too.
local function advance(stream, state, gone, id, index, whole)
  if whole == '1' then
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    if #seq <= 15 then
      redis.call('XTRIM', stream, 'MINID', ms .. '-' .. string.format('%.0f', tonumber(seq) + 1))
    else -- beyond what a double holds
      redis.call('XTRIM', stream, 'MINID', id)
      redis.call('XDEL', stream, id)
    end
    redis.call('HDEL', state, 'head')
  else
    redis.call('XTRIM', stream, 'MINID', id)
    redis.call('HSET', state, 'head', index)
  end
  if redis.call('EXISTS', gone) == 1 then
    for _, position in ipairs(redis.call('HKEYS', gone)) do
      local gone_id, gone_index = string.match(position, '^(%d+-%d+):(%d+)$')
      -- What names no place says nothing.
      if not gone_id or before(gone_id, tonumber(gone_index), id, tonumber(index)) then
        redis.call('HDEL', gone, position)
      end
    end
  end
end

-- moved_marker(marker): the same marker after some of its items have left. Its text is another: a Redis that
-- lost its last second has those items again, and must not let them be trimmed on the word of the later marker.
local function moved_marker(marker)
  local first_ms, id, index, moves = string.match(marker, '^(%d+) (%S+) (%d+) ?(%d*)$')
  return string.format('%s %s %s %d', first_ms, id, index, (tonumber(moves) or 0) + 1)
end

-- move_marker(state, marker, id, index): the head has come to (id, index); at its end the marker goes.
local function move_marker(state, marker, id, index)
  local end_id, end_index = string.match(marker, '^%d+ (%S+) (%d+)')
  if end_id == id and end_index == tostring(index) then
    redis.call('HDEL', state, 'marker')
  else
    redis.call('HSET', state, 'marker', moved_marker(marker))
  end
end

-- rehearse(stream, state, gone, marker): what follows an item that is written elsewhere, without its effect. What is denied
-- is denied before the item is there: Redis takes no write back, and it would be there once more with each try.
local function rehearse(stream, state, gone, marker)
  redis.call('XTRIM', stream, 'MINID', '0')
  redis.call('HSET', state, 'marker', marker)
  redis.call('HDEL', state, '')
  redis.call('EXISTS', gone)
  redis.call('XLEN', stream)
end

-- end_if_empty(stream, state, holds, channel): depth is nothing when nothing is left; for a held
-- queue (channel is not '') the hold is over too, and nothing is left of it.
local function end_if_empty(stream, state, holds, channel)
  if redis.call('XLEN', stream) > 0 then return end
  if channel == '' then
    redis.call('HSET', state, 'depth', 0)
  else
    redis.call('DEL', stream, state)
    redis.call('ZREM', holds, channel)
  end
end
