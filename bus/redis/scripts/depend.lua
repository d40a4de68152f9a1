-- Notes that tasks wait for others, in the shard of those others, unless they have ended. A finished one is kept from now on as long
-- as any, so that its value is there when it is needed.
--
-- KEYS[1] any key of the shard, for the slot
-- ARGV[1] prefix of task keys   ARGV[2] seconds a finished task is kept, then pairs: dependency, dependent
-- Returns the state of each dependency, '' when there is none.

local prefix, ttl = ARGV[1], tonumber(ARGV[2])
local states = {}

for i = 3, #ARGV, 2 do
  local key = prefix .. ARGV[i]
  local task = redis.call('HMGET', key, 'state', 'after')
  local state, after = task[1], task[2] or ''
  states[#states + 1] = state or ''
  if state == 'completed' or state == 'failed' or state == 'cancelled' then
    if redis.call('TTL', key) < ttl then redis.call('EXPIRE', key, ttl) end
  elseif state then
    redis.call('SADD', dependents_key(prefix, ARGV[i]), ARGV[i + 1])
    if string.sub(after, -1) ~= '+' then redis.call('HSET', key, 'after', after .. '+') end
  end
end
return states
