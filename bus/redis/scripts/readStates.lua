-- Reads the states of many tasks at once.
--
-- KEYS[1] any key of the shard, for the slot
-- ARGV[1] prefix of task keys, then ids
-- Returns the state of each, nil for unknown ones.

local prefix = ARGV[1]
local states = {}
for i = 2, #ARGV do states[i - 1] = redis.call('HGET', prefix .. ARGV[i], 'state') end
return states
