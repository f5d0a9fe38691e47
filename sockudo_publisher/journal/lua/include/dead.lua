-- add_letter(dead, size, fields): add a dead letter; the sum of their bytes is kept beside the stream.
-- remove_letter(dead, size, entry): delete a letter; entry as XRANGE answers it.
-- letter_reason(entry): the letter's reason.
-- drop_letter(dead, size, counts, entry): delete a letter to keep the limits, counted by its reason.
-- trim_dead(dead, size, counts, max, max_bytes, most): drop the oldest letters, at most `most` of them, until `max`
-- letters of `max_bytes` are left (0: no limit). The newest stays, whatever its size. Returns how many were dropped.

--: Letters that one call drops beyond those that it adds: bounds the time Redis is busy; the next call drops the rest.
local MAX_TRIMMED = 100
--: Letters read at once: each may be as large as an event.
local MAX_READ = 16
--: More bytes than any letter has: a sum above that much for each letter is damaged.
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

-- A sum that is not a number, or cannot be right, begins again: an error here would come after the letter was written.
local function add_bytes(size, by)
  local answer = redis.pcall('HINCRBY', size, 'bytes', by)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'command', 1, true) then redis.call('HINCRBY', size, 'bytes', by) end -- denied: raises
    redis.call('DEL', size)
  end
  if type(answer) == 'table' or answer < 0 then redis.call('HSET', size, 'bytes', math.max(by, 0)) end
end

-- No letter is dropped for a sum that cannot be right: the sum begins again.
local function read_bytes(size, length)
  local answer = redis.pcall('HGET', size, 'bytes')
  local bytes = type(answer) == 'string' and tonumber(answer) or 0
  if bytes >= 0 and bytes <= length * MAX_BYTES then return bytes end
  redis.call('DEL', size)
  return 0
end

local function add_letter(dead, size, fields)
  add_bytes(size, 0) -- if that is denied no letter is written, also at the next try
  redis.call('XADD', dead, '*', unpack(fields))
  add_bytes(size, letter_size(fields))
end

local function remove_letter(dead, size, entry)
  redis.call('XDEL', dead, entry[1])
  if redis.call('XLEN', dead) == 0 then
    redis.call('DEL', size) -- corrects a sum that was wrong
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
