#!lua flags=allow-oom
-- write: run one command on one key, also in a full Redis: what lanes learn and reports mark must not be lost.
-- KEYS[1] {app}:NAME  one of memory, canaries, canary_answers; or a lane's dead_size
-- ARGV[1] command   ARGV[2...] its arguments behind the key
-- Returns {DONE, the command's answer}
local key, command = KEYS[1], ARGV[1]
return {1, redis.call(command, key, unpack(ARGV, 2))}
