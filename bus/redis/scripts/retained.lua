-- Put behind usage.lua before scripts that end tasks. What the finished tasks of a tenant keep is counted where there is a cap for it: in the
-- hash `usage`, field `<tenant>/retained`, and per task in two sorted sets with members `<task id> <bytes>`:
--
-- `retained:<tenant>`        by when the task ended (us): over the cap the oldest go first, as if their time were over
-- `retained-until:<tenant>`  by when it expires by itself (ms)
--
-- The one that ended last stays, also where it alone is over the cap. A step lets go of so many at most: the next one goes on.

local MOST_LET_GO = 1000
-- What a record takes besides its values, more or less: results of no bytes fill the memory too.
local RECORD_BYTES = 256

local function most_retained(prefix, tenant)
  local most = redis.call('HMGET', (string.gsub(prefix, 'task:$', 'limits')), tenant .. '/retained', '/retained')
  return tonumber(most[1] or most[2] or 0)
end

local function retained_keys(prefix, tenant)
  return (string.gsub(prefix, 'task:$', 'retained:' .. tenant)), (string.gsub(prefix, 'task:$', 'retained-until:' .. tenant))
end

local function output_key(prefix, id)
  return (string.gsub(prefix, 'task:$', 'output:')) .. id
end

local function entry_of(prefix, id)
  local key, bytes = prefix .. id, RECORD_BYTES
  local fence = redis.call('HGET', key, 'fence')
  for _, field in ipairs({ 'args', 'large_args', 'result', 'failure', fence and 'large_result:' .. fence or nil }) do
    bytes = bytes + redis.call('HSTRLEN', key, field)
  end
  return string.format('%s %.0f', id, bytes + redis.call('STRLEN', output_key(prefix, id)))
end

local function add_retained(prefix, tenant, id, entry, ended_us, now)
  local by_end, by_expiry = retained_keys(prefix, tenant)
  local left = redis.call('PTTL', prefix .. id)
  if left < 0 or redis.call('ZADD', by_end, string.format('%.0f', ended_us), entry) == 0 then return end
  redis.call('ZADD', by_expiry, string.format('%.0f', now + left), entry)
  use(tenant, 'retained', tonumber(string.match(entry, ' (%d+)$')))
end

local function remove_retained(prefix, tenant, entry)
  local by_end, by_expiry = retained_keys(prefix, tenant)
  redis.call('ZREM', by_expiry, entry)
  if redis.call('ZREM', by_end, entry) == 0 then return false end
  use(tenant, 'retained', -tonumber(string.match(entry, ' (%d+)$')))
  return true
end

-- Takes those out that have expired, then the oldest until the rest is under the cap.
local function keep_under_cap(prefix, tenant, most, now, most_let_go)
  local by_end, by_expiry = retained_keys(prefix, tenant)
  for _, entry in ipairs(redis.call('ZRANGE', by_expiry, '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, most_let_go)) do
    local left = redis.call('PTTL', prefix .. string.match(entry, '^%S+'))
    -- It is kept for longer since others depend on it, see depend.lua.
    if left > 0 then redis.call('ZADD', by_expiry, 'XX', string.format('%.0f', now + left), entry)
    else remove_retained(prefix, tenant, entry) end
  end
  local name = tenant .. '/retained'
  local before = tonumber(redis.call('HGET', (string.gsub(prefix, 'task:$', 'usage')), name) or 0)
  if before + (used[name] or 0) <= most then return end
  local last = math.min(redis.call('ZCARD', by_end) - 1, most_let_go)
  if last < 1 then return end
  for _, entry in ipairs(redis.call('ZRANGE', by_end, 0, last - 1)) do
    if before + (used[name] or 0) <= most then return end
    local id = string.match(entry, '^%S+')
    redis.call('UNLINK', prefix .. id, output_key(prefix, id))
    remove_retained(prefix, tenant, entry)
  end
end

-- Counts what has ended in this step. Before keep_usage.
local function keep_retained(prefix, time)
  local now_us = time[1] * 1000000 + time[2]
  local now = math.floor(now_us / 1000)
  for tenant, ids in pairs(ended) do
    local most = most_retained(prefix, tenant)
    if most > 0 then
      for place, id in ipairs(ids) do add_retained(prefix, tenant, id, entry_of(prefix, id), now_us + place - 1, now) end
      keep_under_cap(prefix, tenant, most, now, MOST_LET_GO + #ids)
    end
  end
end
