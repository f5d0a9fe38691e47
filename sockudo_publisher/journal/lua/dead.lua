-- add_letter(dead, size, fields): a dead letter comes; its bytes are kept beside the stream, which cannot tell them.
-- remove_letter(dead, size, entry): it goes; entry as XRANGE answers it.
-- letter_reason(entry): why it died.
-- drop_letter(dead, size, counts, entry): it goes for want of room or for its age, counted by its reason.
-- trim_dead(dead, size, counts, max, max_bytes, most): the oldest go, at most `most` of them, until max letters of
-- max_bytes are left (0: no bound). The newest stays, whatever its size. Answers how many went.

--: Letters that go in one call beyond those that came: bounds the time Redis is busy; the rest goes with the next.
local MAX_TRIMMED = 100
--: Letters read at once: each may be as large as an event.
local MAX_READ = 16
--: Bytes of a letter at most, by far: a count that says more of each of them is none.
local MAX_BYTES = 1073741824

local function letter_size(fields)
  local size = 0
  for _, part in ipairs(fields) do size = size + #part end
  return size
end

local function letter_reason(entry)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'reason' then return entry[2][i + 1] end
  end
  return 'unknown'
end

-- A count that is no number, or cannot be, begins anew: an error here would come after the letter was written.
local function add_bytes(size, by)
  local answer = redis.pcall('HINCRBY', size, 'bytes', by)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'command', 1, true) then redis.call('HINCRBY', size, 'bytes', by) end -- denied: says so
    redis.call('DEL', size)
  end
  if type(answer) == 'table' or answer < 0 then redis.call('HSET', size, 'bytes', math.max(by, 0)) end
end

-- No letter leaves for a count that cannot be: it begins anew.
local function read_bytes(size, length)
  local answer = redis.pcall('HGET', size, 'bytes')
  local bytes = type(answer) == 'string' and tonumber(answer) or 0
  if bytes >= 0 and bytes <= length * MAX_BYTES then return bytes end
  redis.call('DEL', size)
  return 0
end

local function add_letter(dead, size, fields)
  add_bytes(size, 0) -- where that is denied no letter comes, again with each try
  redis.call('XADD', dead, '*', unpack(fields))
  add_bytes(size, letter_size(fields))
end

local function remove_letter(dead, size, entry)
  redis.call('XDEL', dead, entry[1])
  if redis.call('XLEN', dead) == 0 then
    redis.call('DEL', size) -- a count that was ever wrong is right again
  else
    add_bytes(size, -letter_size(entry[2]))
  end
end

local function drop_letter(dead, size, counts, entry)
  remove_letter(dead, size, entry)
  tally(counts, 'dead_dropped_' .. letter_reason(entry), 1)
end

local function trim_dead(dead, size, counts, max, max_bytes, most)
  local length = redis.call('XLEN', dead)
  local bytes = read_bytes(size, length)
  local dropped, read = 0, 1
  local function is_over()
    return length > 1 and dropped < most and ((max > 0 and length > max) or (max_bytes > 0 and bytes > max_bytes))
  end
  while is_over() do
    for _, entry in ipairs(redis.call('XRANGE', dead, '-', '+', 'COUNT', read)) do
      if not is_over() then break end
      drop_letter(dead, size, counts, entry)
      dropped, length, bytes = dropped + 1, length - 1, bytes - letter_size(entry[2])
    end
    read = math.min(read * 2, MAX_READ)
  end
  return dropped
end
