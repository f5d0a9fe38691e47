-- advance(stream, state, gone, id, index, whole): the head moves to (id, index); all before it is
-- deleted. whole = '1': index is the end of the entry, so the entry goes too.
local function before(id_a, index_a, id_b, index_b)
  local ms_a, seq_a = string.match(id_a, '^(%d+)-(%d+)$')
  local ms_b, seq_b = string.match(id_b, '^(%d+)-(%d+)$')
  ms_a, seq_a, ms_b, seq_b = tonumber(ms_a), tonumber(seq_a), tonumber(ms_b), tonumber(seq_b)
  if ms_a ~= ms_b then return ms_a < ms_b end
  if seq_a ~= seq_b then return seq_a < seq_b end
  return index_a < index_b
end

local function advance(stream, state, gone, id, index, whole)
  if whole == '1' then
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    redis.call('XTRIM', stream, 'MINID', ms .. '-' .. string.format('%.0f', tonumber(seq) + 1))
    redis.call('HDEL', state, 'head')
  else
    redis.call('XTRIM', stream, 'MINID', id)
    redis.call('HSET', state, 'head', index)
  end
  if redis.call('EXISTS', gone) == 1 then
    for _, position in ipairs(redis.call('HKEYS', gone)) do
      local gone_id, gone_index = string.match(position, '^(%S+):(%d+)$')
      if before(gone_id, tonumber(gone_index), id, tonumber(index)) then redis.call('HDEL', gone, position) end
    end
  end
end

-- forget_marker_at(state, marker, id, index): the marker goes when its end is reached.
local function forget_marker_at(state, marker, id, index)
  if string.match(marker, '^%S+ (.+)$') == id .. ' ' .. index then redis.call('HDEL', state, 'marker') end
end

-- end_if_empty(stream, state, holds, channel): depth is nothing when nothing is left; for a held
-- queue (channel is not '') the hold is over too, and nothing is left of it. Returns true when a hold ended.
local function end_if_empty(stream, state, holds, channel)
  if redis.call('XLEN', stream) > 0 then return false end
  if channel == '' then
    redis.call('HSET', state, 'depth', 0)
    return false
  end
  redis.call('DEL', stream, state)
  redis.call('ZREM', holds, channel)
  return true
end
