-- part_of(meta, size, first, last): the decoded meta of the items first to last (1-based) of a pack of `size` items.
-- Each list with a value for each item is cut, whatever its name: a field that is added later needs no change here.
local function part_of(meta, size, first, last)
  local part = {}
  for name, values in pairs(meta) do
    if type(values) == 'table' and #values == size then part[name] = {unpack(values, first, last)} end
  end
  return part
end
