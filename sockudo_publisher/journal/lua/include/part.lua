-- part_of(meta, size, first, last): the decoded meta of the items first to last (1-based) of a pack of `size` items.
-- Each list with a value for each item is cut, whatever its name: a field that is added later needs no change here.
local function part_of(meta, size, first, last)
  local part = {}
  for name, values in pairs(meta) do
    if type(values) == 'table' and #values == size then part[name] = {unpack(values, first, last)} end
  end
  return part
end

-- first_items(count, text, body): the first items of a pack: their number, earliest expiry, meta and body.
local function first_items(count, text, body)
  local whole = cjson.decode(text)
  local meta = part_of(whole, #whole.n, 1, count)
  local size, earliest = count - 1, 0
  for i = 1, count do
    local expiry = meta.x and meta.x[i] or 0
    size = size + meta.n[i]
    if expiry > 0 and (earliest == 0 or expiry < earliest) then earliest = expiry end
  end
  return count, string.format('%.0f', earliest), cjson.encode(meta), string.sub(body, 1, size)
end
