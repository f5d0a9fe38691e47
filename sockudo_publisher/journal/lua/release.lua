#!lua flags=allow-oom
-- release: give the lease back, unless entries came meanwhile.
-- KEYS[1] lease   string  the holder's token
-- KEYS[2] stream  stream  packs, oldest first
-- KEYS[3] state   hash    armed
-- ARGV[1] token   ARGV[2] ttl_ms, if the lease is kept
-- ARGV[3] '1': hand over, give it back whatever there is; the lane stays armed, the caller rings
-- Returns {LOST} | {KEPT}: go on draining | {DONE}
-- Invariant: a lane with entries is leased or armed, so no wake-up is lost.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1} end
if redis.call('XLEN', KEYS[2]) > 0 then
  if ARGV[3] ~= '1' then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return {5}
  end
else
  redis.call('HDEL', KEYS[3], 'armed')
end
redis.call('DEL', KEYS[1])
return {1}
