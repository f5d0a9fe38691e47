#!lua flags=allow-oom
-- mark: open or close a lane for appends, in a change of the number of lanes (layout.py).
-- KEYS[1] {app:lane}:state  hash  lane: 'open' | 'closed'; missing in a first layout's lanes, which are open
-- ARGV[1] 'open' | 'closed'
-- Returns {DONE}
-- A closed lane never opens again: a late helper of an earlier change may still ask for 'open'.
local state, mark = KEYS[1], ARGV[1]
if mark == 'closed' then
  redis.call('HSET', state, 'lane', 'closed')
else
  redis.call('HSETNX', state, 'lane', 'open')
end
return {1}
