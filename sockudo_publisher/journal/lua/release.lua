#!lua flags=allow-oom
-- release: give the lease back, unless entries were appended meanwhile.
-- KEYS[1] lease   string  the holder's token
-- KEYS[2] stream  stream  packs, oldest first
-- KEYS[3] state   hash    armed
-- ARGV[1] token   ARGV[2] ttl_ms, if the lease is kept
-- ARGV[3] '1': hand over: give the lease back even with entries; the lane stays armed, and the caller rings it
-- Returns {LOST} | {KEPT}: there are entries, go on draining | {DONE}
-- Invariant: a lane with entries is leased or armed, so no wake-up is lost.
local lease, stream, state = KEYS[1], KEYS[2], KEYS[3]
local token, ttl_ms, hands_over = ARGV[1], ARGV[2], ARGV[3] == '1'
if redis.call('GET', lease) ~= token then return {-1} end
if redis.call('XLEN', stream) > 0 then
  if not hands_over then
    redis.call('PEXPIRE', lease, ttl_ms)
    return {5}
  end
else
  redis.call('HDEL', state, 'armed')
end
redis.call('DEL', lease)
return {1}
