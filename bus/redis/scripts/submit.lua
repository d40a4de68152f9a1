-- Accepts a batch of new tasks. An id that exists already is left as it is, so a repeated submission is harmless.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] delayed   KEYS[5] recent   KEYS[6] requirements   KEYS[7] blocked
-- KEYS[8] leases
-- ARGV[1] prefix of task keys (in the slot of the KEYS)   ARGV[2] most requirements, then per run of tasks that are alike:
--         function id, priority (1..3), max attempts, timeout ms, delay ms, '' or JSON of the fields that few tasks have (taskExtras.ts), lane
--         (`needs`), where it names a tenant: number of the request within this call, number and bytes of its tasks from here on;
--         number of tasks, then per task: id, arguments.
--         Large arguments are in the field large_args already, and empty here: see largeValues.ts.
-- Returns one integer per task: 1 accepted, 0 existing, -1 refused: tasks of too many requirements are waiting,
-- -2 refused: the tenant would have more tasks waiting than it may, -3: more bytes of arguments; and last how many tasks were handed over
-- to claims that stand, see standing.lua.

local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
local verdicts = {}
local lists, pushes, admitted, refused = {}, {}, {}, {}

-- Forgets requirements of which nothing waits, used last at least so long ago; not those of this batch, whose tasks are pushed at its
-- end. Tasks that are put back into a queue make their requirement known again.
local function forget_unused(older_than_s)
  local known = redis.call('HGETALL', KEYS[6])
  for i = 1, #known, 2 do
    local requirement = known[i]
    if requirement ~= '' and not admitted[requirement] and time[1] - known[i + 1] >= older_than_s
      and redis.call('EXISTS', KEYS[1] .. ':' .. requirement, KEYS[2] .. ':' .. requirement, KEYS[3] .. ':' .. requirement,
        turns_of(KEYS[1], requirement), turns_of(KEYS[2], requirement), turns_of(KEYS[3], requirement)) == 0 then
      redis.call('HDEL', KEYS[6], requirement)
    end
  end
end

-- Whether there may be tasks with this requirement.
local function admit(requirement)
  if requirement == '' or admitted[requirement] then return true end
  if redis.call('HEXISTS', KEYS[6], requirement) == 0 then
    local most = tonumber(ARGV[2])
    forget_unused(600)
    -- The version is a field as well.
    if redis.call('HLEN', KEYS[6]) > most then forget_unused(0) end
    if redis.call('HLEN', KEYS[6]) > most then return false end
  end
  admitted[requirement] = true
  return true
end

-- Whether so much more is too much for the tenant: a request is taken whole or not at all, and another one may still fit.
local function over_limit(tenant, request, tasks, bytes)
  if refused[request] then return refused[request] end
  local room, byte_room = room_for(prefix, tenant, 'waiting'), room_for(prefix, tenant, 'bytes')
  refused[request] = room and tasks > room and -2 or byte_room and bytes > byte_room and -3
  return refused[request]
end

-- Where ids are gathered to be pushed at once.
local function ids_for(priority, lane)
  local list = queue_for(KEYS[tonumber(priority)], lane, KEYS[6], time)
  if not pushes[list] then
    pushes[list] = {}
    lists[#lists + 1] = list
  end
  return pushes[list]
end

local at = 3
while at <= #ARGV do
  local function_id, priority, max, timeout = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local delay, extras, lane = tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6]
  at = at + 7
  local push
  local tenant, requirement = nil, lane
  if lane ~= '' then tenant, requirement = tenant_of(lane), string.match(lane, '[^/]*$') end
  local request, request_tasks, request_bytes, refusal = nil, 0, 0, nil
  if tenant then
    request, request_tasks, request_bytes = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    at = at + 3
  end
  local count = tonumber(ARGV[at])
  at = at + 1
  local own, others = indexes_of(tenant)
  local state, since, since_text = 'queued', 'submitted', now_text
  if delay > 0 then state, since, since_text = 'delayed', 'history', now_text .. ' task.submitted delayed' end
  -- What is usual takes no room.
  local unusual, deps = {}, nil
  if priority ~= '2' then unusual[#unusual + 1] = 'priority'; unusual[#unusual + 1] = priority end
  if max ~= '3' then unusual[#unusual + 1] = 'max'; unusual[#unusual + 1] = max end
  if timeout ~= '0' then unusual[#unusual + 1] = 'timeout'; unusual[#unusual + 1] = timeout end
  if lane ~= '' then unusual[#unusual + 1] = 'needs'; unusual[#unusual + 1] = lane end
  if extras ~= '' then
    local fields = cjson.decode(extras)
    deps = fields.deps
    if deps then
      state, since, since_text = 'blocked', 'history', now_text .. ' task.submitted blocked'
      if delay > 0 then fields.due = string.format('%.0f', now + delay) end
    end
    for field, value in pairs(fields) do unusual[#unusual + 1] = field; unusual[#unusual + 1] = value end
  end

  for i = at, at + 2 * count - 2, 2 do
    local id = ARGV[i]
    local key = prefix .. id
    local before = redis.call('HGET', key, 'state')
    if before then
      if before == 'completed' then redis.call('HDEL', key, 'large_args') end
      verdicts[#verdicts + 1] = 0
    else
      if not push and not refusal then
        -- Those before it are there already.
        if tenant then refusal = over_limit(tenant, request, request_tasks - (i - at) / 2, request_bytes) end
        if not refusal and not admit(requirement) then refusal = -1 end
      end
    end
    if not before and refusal then
      -- Large arguments are there before it.
      redis.call('DEL', key)
      verdicts[#verdicts + 1] = refusal
    elseif not before then
      push = push or ids_for(priority, lane)
      redis.call('HSET', key, 'state', state, 'function', function_id, 'args', ARGV[i + 1], since, since_text, unpack(unusual))
      if ARGV[i + 1] == '' and redis.call('HEXISTS', key, 'large_args') == 1 then
        redis.call('HSET', key, 'large', '1')
        redis.call('HDEL', key, 'args')
      end
      if deps then
        redis.call('ZADD', KEYS[7], now_text, id)
        local unmet = unmet_key(prefix, id)
        for first = 1, #deps, 36 do redis.call('SADD', unmet, string.sub(deps, first, first + 35)) end
      elseif delay > 0 then
        redis.call('ZADD', KEYS[4], string.format('%.0f', now + delay), id)
      else
        push[#push + 1] = id
      end
      if tenant then moved(lane, key, 'new', state) end
      own[#own + 1] = id
      if others then others[#others + 1] = id end
      verdicts[#verdicts + 1] = 1
    end
  end
  at = at + 2 * count
end

local queued, handed = 0, 0
for i = 1, #lists do
  local ids = pushes[lists[i]]
  queued = queued + #ids
  if #ids > 0 then redis.call('LPUSH', lists[i], unpack(ids)) end
end
-- One entry for the whole batch of a tenant, for lists: see taskIndex.ts.
write_indexes(KEYS[5], 5000000, '')
if queued > 0 then
  local shard = { queues = { KEYS[1], KEYS[2], KEYS[3] }, delayed = KEYS[4], leases = KEYS[8], requirements = KEYS[6] }
  handed = hand_over(prefix, shard, time, queued)
end
keep_usage(prefix, time)
verdicts[#verdicts + 1] = handed
return verdicts
