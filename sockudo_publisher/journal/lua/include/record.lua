-- read_record(text): the entries of one message id in a bucket, each {seq, due, fingerprint, meta, body}; nil if the
-- text cannot be read.
-- write_record(entries): the text of these entries.
-- name_of(seq, id): the member of the sorted set that stands for an entry. Equal due times keep the order of the names.
-- split_name(name): the seq and the id of a member, or nil.

local function read_record(text)
  local ok, entries = pcall(cmsgpack.unpack, text)
  if not ok or type(entries) ~= 'table' or #entries == 0 then return nil end
  for _, entry in ipairs(entries) do
    if type(entry) ~= 'table' or type(entry[1]) ~= 'number' or type(entry[2]) ~= 'number' then return nil end
    for part = 3, 5 do
      if type(entry[part]) ~= 'string' then return nil end
    end
  end
  return entries
end

local function write_record(entries)
  return cmsgpack.pack(entries)
end

local function name_of(seq, id)
  return string.format('%010.0f %s', seq, id)
end

local function split_name(name)
  local seq, id = string.match(name, '^(%d+) (.+)$')
  return tonumber(seq or ''), id
end
