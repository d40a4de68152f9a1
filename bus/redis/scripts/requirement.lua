-- Put before scripts that put tasks into queues. Tasks that not every worker can run wait in lists of their own: one per priority and requirement, `<queue>:<requirement>`. A hash
-- of the shard has each requirement whose lists may hold tasks, with the second of its last use, and under '' its version: the time of
-- its last growth, by which a claim tells that there are requirements it does not know. A counter would not do: an append-only
-- file that lost its last second can hand out the same number twice.

-- The list in which a task waits. `requirement` is false for most tasks.
local function queue_for(queue, requirement, registry, time)
  if not requirement or requirement == '' then return queue end
  if redis.call('HSET', registry, requirement, time[1]) == 1 then
    redis.call('HSET', registry, '', time[1] .. string.format('%06d', time[2]))
  end
  return queue .. ':' .. requirement
end
