-- latest_numbers(latest, counts, meta, n): per item the number of the latest item with its collapse key, or false; and
-- the fields of `latest`. nil if no item has a collapse key, or `latest` is not a hash: it begins again, as nothing is
-- obsolete without it.
local function latest_numbers(latest, counts, meta, n)
  local keys = meta.k
  if type(keys) ~= 'table' or #keys ~= n then return nil end
  local fields, asked, places = {}, {}, {}
  for i = 1, n do
    if type(keys[i]) == 'string' and keys[i] ~= '' then
      fields[i] = latest_field(meta.c[i], keys[i])
      asked[#asked + 1], places[#places + 1] = fields[i], i
    end
  end
  if #asked == 0 then return nil end
  local kept = redis.pcall('HMGET', latest, unpack(asked))
  if kept.err then
    redis.call('DEL', latest)
    tally(counts, 'unreadable_records', 1)
    return nil
  end
  local numbers = {}
  for k, place in ipairs(places) do numbers[place] = kept[k] and tonumber(kept[k]) or false end
  return numbers, fields
end
