-- read_entry(f): the fields of a stream entry, by their names: item count, earliest expiry, meta, body, clock or nil.
-- The count is nil if they cannot be read; then the sixth value is the version, if a newer release wrote the entry.
-- The seventh value is the number of its first item, if items have collapse keys (collapse.lua).
-- Unknown names are ignored. The order in which add_entry.lua writes is tried first: a lookup of each name would cost
-- each entry of each batch more than all the rest.
local function read_entry(f)
  local n, x, m, b, t, first
  if f[1] == 'v' and f[2] == '1' and f[3] == 'n' and f[5] == 'x' and f[7] == 'm' and f[9] == 'b' then
    n, x, m, b = f[4], f[6], f[8], f[10]
    for i = 11, #f, 2 do
      if f[i] == 't' then t = f[i + 1] elseif f[i] == 'f' then first = f[i + 1] end
    end
  else
    local named = {}
    for i = 1, #f, 2 do named[f[i]] = f[i + 1] end
    if named.v ~= '1' then
      return nil, nil, nil, nil, nil, named.v and string.match(named.v, '^[1-9]%d*$') or nil
    end
    n, x, m, b, t, first = named.n, named.x, named.m, named.b, named.t, named.f
  end
  n = tonumber(n)
  -- Each item has at least one byte, and a comma before the next.
  if not (n and m and b and n >= 1 and n % 1 == 0 and #b >= 2 * n - 1) then return nil end
  -- A clock that cannot be read: the item was sent before, at an unknown time.
  if t and not (#t <= 15 and string.match(t, '^%d+$')) then t = '0' end
  if first then first = #first <= 15 and string.match(first, '^%d+$') and tonumber(first) end
  return n, x, m, b, t, nil, first
end

-- read_meta(text, n, body): the meta of n items, or nil if it does not fit them: lengths that add up to the body,
-- channels, expiries.
local function read_meta(text, n, body)
  local ok, meta = pcall(cjson.decode, text)
  if not ok or type(meta) ~= 'table' or type(meta.n) ~= 'table' or type(meta.c) ~= 'table' then return nil end
  local lengths, channels, expiries = meta.n, meta.c, meta.x
  if #lengths ~= n or #channels ~= n or (expiries ~= nil and (type(expiries) ~= 'table' or #expiries ~= n)) then
    return nil
  end
  local size = n - 1
  for i = 1, n do
    local length, expiry = lengths[i], expiries and expiries[i] or 0
    if type(length) ~= 'number' or type(channels[i]) ~= 'string' or type(expiry) ~= 'number' then return nil end
    if channels[i] == '' then return nil end -- '' means the lane itself
    if not (length >= 1 and length % 1 == 0 and expiry >= 0 and expiry < 1e15) then return nil end
    size = size + length
  end
  return size == #body and meta or nil
end
