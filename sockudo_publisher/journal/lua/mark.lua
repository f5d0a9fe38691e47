#!lua flags=allow-oom
-- mark: whether a lane takes appends, said by a change of the number of lanes (layout.py).
-- KEYS[1] {app:lane}:state  hash  lane: 'open' | 'closed'; missing in a first layout's lanes, which are open
-- ARGV[1] 'open' | 'closed'
-- Returns {DONE}
-- A closed lane never opens again: a late helper of an earlier change may still say 'open'.
if ARGV[1] == 'closed' then
  redis.call('HSET', KEYS[1], 'lane', 'closed')
else
  redis.call('HSETNX', KEYS[1], 'lane', 'open')
end
return {1}
