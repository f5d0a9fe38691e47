-- part_of(meta, size, first, last): the decoded meta of the items first to last (1-based) of a pack of `size` items.
-- Every list with a value for each item is cut, whatever its name is: a field that comes later needs no change here.
local function part_of(meta, size, first, last)
  local part = {}
  for name, values in pairs(meta) do
    if type(values) == 'table' and #values == size then part[name] = {unpack(values, first, last)} end
  end
  return part
end
