-- Reads the states of many tasks at once.
--
-- KEYS[1] any key of the shard, for the slot
-- ARGV[1] prefix of task keys   ARGV[2] the tenant that asks, '' for all, then ids
-- Returns the state of each, nil for unknown ones.

local prefix, asker = ARGV[1], ARGV[2]
local states = {}
for i = 3, #ARGV do
  if asker == '' then
    states[i - 2] = redis.call('HGET', prefix .. ARGV[i], 'state')
  else
    local task = redis.call('HMGET', prefix .. ARGV[i], 'state', 'needs')
    states[i - 2] = is_visible(asker, task[2]) and task[1]
  end
end
return states
