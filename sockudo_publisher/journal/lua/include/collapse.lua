-- latest_field(channel, key): the field of a channel's collapse key in the hash `latest`; the length keeps names apart.
-- add_collapsing(stream, state, latest, count, expiry, meta, body): as add_entry. The items get numbers, and the hash the
-- number of the latest item of each collapse key.
-- An item is obsolete if its number is smaller than its key's in the hash (obsolete.lua). So the hash is written after
-- the entry: a script that fails between the two keeps an obsolete item, and drops none without a later one.

local function latest_field(channel, key)
  return #channel .. ':' .. channel .. key
end

-- take_numbers(state, count): the first of `count` numbers, higher than all before; a counter that is no number begins
-- again.
local function take_numbers(state, count)
  local last = redis.pcall('HINCRBY', state, 'numbered', count)
  if type(last) == 'table' then
    redis.call('HSET', state, 'numbered', count)
    last = count
  end
  return last - count + 1
end

local function add_collapsing(stream, state, latest, count, expiry, meta, body)
  local decoded = cjson.decode(meta)
  if not decoded.k then return add_entry(stream, count, expiry, meta, body) end
  local first, pairs_of = take_numbers(state, count), {}
  add_entry(stream, count, expiry, meta, body, nil, string.format('%.0f', first))
  for i, key in ipairs(decoded.k) do
    if key ~= '' then
      pairs_of[#pairs_of + 1] = latest_field(decoded.c[i], key)
      pairs_of[#pairs_of + 1] = string.format('%.0f', first + i - 1)
    end
  end
  redis.pcall('HSET', latest, unpack(pairs_of)) -- an event is not refused because it cannot be collapsed
end
