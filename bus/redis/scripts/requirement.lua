-- Put before scripts that put tasks into queues. Tasks that not every worker can run wait in lists of their own, and so do those of each
-- tenant: `<queue>:<lane>`. A hash of the shard has each requirement whose lists may hold tasks, with the second of its last use, and
-- under '' its version: the time of its last growth, by which a claim tells that there are requirements it does not know. A counter
-- would not do: an append-only file that lost its last second can hand out the same number twice. A `/` at its end says that tenants
-- have lists.

local function turns_of(queue, requirement)
  return queue .. '/turns' .. (requirement == '' and '' or ':' .. requirement)
end

-- The tenant waits for its turn from now on, see turns.lua: not before those that were served while it had nothing to wait for.
local function await_turn(queue, tenant, requirement, registry)
  local turns = turns_of(queue, requirement)
  if redis.call('ZSCORE', turns, tenant) then return end
  local passes = redis.call('ZMSCORE', queue .. '/passes', '/', tenant)
  redis.call('ZADD', turns, math.max(tonumber(passes[1] or 0), tonumber(passes[2] or 0)), tenant)
  local version = redis.call('HGET', registry, '') or ''
  if string.sub(version, -1) ~= '/' then redis.call('HSET', registry, '', version .. '/') end
end

-- The list in which a task waits. `lane` is false for most tasks.
local function queue_for(queue, lane, registry, time)
  if not lane or lane == '' then return queue end
  local tenant, requirement = string.match(lane, '^([^/]*)/(.*)$')
  if not tenant then requirement = lane end
  if requirement ~= '' and redis.call('HSET', registry, requirement, time[1]) == 1 then
    local mark = string.sub(redis.call('HGET', registry, '') or '', -1) == '/' and '/' or ''
    redis.call('HSET', registry, '', time[1] .. string.format('%06d', time[2]) .. mark)
  end
  if tenant then await_turn(queue, tenant, requirement, registry) end
  return queue .. ':' .. lane
end
