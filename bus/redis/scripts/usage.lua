-- Put before scripts that move tasks of tenants; those that say no tenant are not counted and cost nothing.
--
-- Two hashes of the shard: `usage` counts per tenant what waits (queued, delayed, retrying, blocked), the bytes of its arguments, and what
-- runs: fields `<tenant>/waiting`, `/bytes`, `/running`; `/retained`: see retained.lua. They change in the steps that move the tasks, so a crash leaves them right. `limits` has
-- the most of each, `/waiting` and so on for tenants without limits of their own; none or 0: no limit.
-- `held` has, by tenant, the queues it has left because it runs as many tasks as it may: lines of queue and lane.

local WAITS = { queued = true, delayed = true, retrying = true, blocked = true }
local ENDS = { completed = true, failed = true, cancelled = true }
local used, fewer_run, ended = {}, {}, {}

local function use(tenant, field, change)
  local name = tenant .. '/' .. field
  used[name] = (used[name] or 0) + change
end

local function size_of(key)
  local size = redis.call('HSTRLEN', key, 'args')
  return size > 0 and size or redis.call('HSTRLEN', key, 'large_args')
end

-- A task in this lane has gone from one state to the other.
local function moved(needs, key, from, to)
  local tenant = tenant_of(needs)
  if not tenant then return end
  local change = (WAITS[to] and 1 or 0) - (WAITS[from] and 1 or 0)
  if change ~= 0 then
    use(tenant, 'waiting', change)
    use(tenant, 'bytes', change * size_of(key))
  end
  if to == 'running' then use(tenant, 'running', 1) end
  if from == 'running' then
    use(tenant, 'running', -1)
    fewer_run[tenant] = true
  end
  if ENDS[to] then
    ended[tenant] = ended[tenant] or {}
    table.insert(ended[tenant], string.sub(key, -36))
  end
end

-- How much more a tenant may have, counting what this step has done; nothing where there is no limit.
local has_limits
local function room_for(prefix, tenant, field)
  if has_limits == nil then has_limits = redis.call('EXISTS', (string.gsub(prefix, 'task:$', 'limits'))) == 1 end
  if not has_limits then return nil end
  local own = tenant .. '/' .. field
  local most = redis.call('HMGET', (string.gsub(prefix, 'task:$', 'limits')), own, '/' .. field)
  local limit = tonumber(most[1] or most[2] or 0)
  if limit == 0 then return nil end
  return limit - tonumber(redis.call('HGET', (string.gsub(prefix, 'task:$', 'usage')), own) or 0) - (used[own] or 0)
end

-- Whether tenants are held back: what they have waiting can be claimed when one of their tasks has ended.
local function holds_back(prefix, version)
  -- Without tenants, or without limits as far as they were looked for, there is nothing to ask.
  if string.sub(version, -1) ~= '/' or has_limits == false then return false end
  return redis.call('EXISTS', (string.gsub(prefix, 'task:$', 'held'))) == 1
end

-- The tenant waits again where it was held back.
local function let_go(prefix, tenant, time)
  local held = string.gsub(prefix, 'task:$', 'held')
  local places = redis.call('HGET', held, tenant)
  if not places then return end
  redis.call('HDEL', held, tenant)
  for queue, lane in string.gmatch(places, '([^\n]*)\n([^\n]*)\n') do
    queue_for(queue, lane, (string.gsub(prefix, 'task:$', 'requirements')), time)
  end
end

local function keep_usage(prefix, time)
  local usage = string.gsub(prefix, 'task:$', 'usage')
  for name, change in pairs(used) do
    if change ~= 0 then redis.call('HINCRBY', usage, name, change) end
  end
  for tenant in pairs(fewer_run) do let_go(prefix, tenant, time) end
end
