#!lua flags=allow-oom
-- write: one command on one key, also in a full Redis: what the server forgets must be told to all lanes.
-- KEYS[1] {app}:NAME  one of memory, canaries, canary_answers
-- ARGV[1] command   ARGV[2...] its arguments behind the key
-- Returns {DONE, the command's answer}
return {1, redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))}
