-- less(a, b): whether a decimal number is smaller; compared as text, since the parts of an id can exceed a double.
local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

-- before(id_a, index_a, id_b, index_b): whether the first place in a stream comes before the second.
local function before(id_a, index_a, id_b, index_b)
  local ms_a, seq_a = string.match(id_a, '^(%d+)-(%d+)$')
  local ms_b, seq_b = string.match(id_b, '^(%d+)-(%d+)$')
  if ms_a ~= ms_b then return less(ms_a, ms_b) end
  if seq_a ~= seq_b then return less(seq_a, seq_b) end
  return index_a < index_b
end

-- advance(stream, state, gone, id, index, whole): move the head to (id, index) and delete all before it.
-- whole = '1': index is the end of the entry, which is deleted too.
local function advance(stream, state, gone, id, index, whole)
  if whole == '1' then
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    if #seq <= 15 then
      redis.call('XTRIM', stream, 'MINID', ms .. '-' .. string.format('%.0f', tonumber(seq) + 1))
    else -- more than a double holds exactly
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
      -- A name that is not a place is deleted too.
      if not gone_id or before(gone_id, tonumber(gone_index), id, tonumber(index)) then
        redis.call('HDEL', gone, position)
      end
    end
  end
end

-- moved_marker(marker): the same marker after some of its items have left. Its text changes: a Redis that lost its
-- last second has those items again, and must not let the holder of the later marker trim them.
local function moved_marker(marker)
  local first_ms, id, index, moves = string.match(marker, '^(%d+) (%S+) (%d+) ?(%d*)$')
  return string.format('%s %s %s %d', first_ms, id, index, (tonumber(moves) or 0) + 1)
end

-- move_marker(state, marker, id, index): the head is now at (id, index); delete the marker if that is its end.
local function move_marker(state, marker, id, index)
  local end_id, end_index = string.match(marker, '^%d+ (%S+) (%d+)')
  if end_id == id and end_index == tostring(index) then
    redis.call('HDEL', state, 'marker')
  else
    redis.call('HSET', state, 'marker', moved_marker(marker))
  end
end

-- rehearse(stream, state, gone, marker): run the commands that follow after an item is written elsewhere, without
-- effect. A command that is denied then fails before the item is written: Redis undoes no write, and each new try would
-- write the item once more.
local function rehearse(stream, state, gone, marker)
  redis.call('XTRIM', stream, 'MINID', '0')
  redis.call('HSET', state, 'marker', marker)
  redis.call('HDEL', state, '')
  redis.call('EXISTS', gone)
  redis.call('XLEN', stream)
end

-- end_if_empty(stream, state, holds, channel): if no entry is left, set the depth of a lane to 0; of a held queue
-- (channel is not '') delete all keys.
local function end_if_empty(stream, state, holds, channel)
  if redis.call('XLEN', stream) > 0 then return end
  if channel == '' then
    redis.call('HSET', state, 'depth', 0)
  else
    redis.call('DEL', stream, state)
    redis.call('ZREM', holds, channel)
  end
end
