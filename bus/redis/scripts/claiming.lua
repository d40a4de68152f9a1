-- Hands queued tasks to a dispatcher, under a lease and a new fence. First moves delayed and retrying tasks that are due back
-- into the queue. Ids in the queue whose task is no longer queued (cancelled, expired) are skipped and dropped, so many in one step.
--
-- A lane is a requirement ('' for tasks without one) and the offers of workers that satisfy it. Within a priority the lanes take
-- turns, and in them the tenants that wait there (turns.lua); no offer is given more than its credit, so that all that is claimed has a worker.
--
-- @param shard its keys: queues (by priority), delayed, leases, requirements
-- @param wanted claimant, nonce, limit, bytes (of arguments, after which no further task is handed out), lease (ms), credits, and
--        lanes { requirement, indexes of offers }. Limit, bytes and credits are less afterwards by what was given.
-- Returns promoted = { id, from, ... }; claimed = { id, function id ('' for that of the task before), arguments (false when they are in
--         the field large_args), attempt, timeout ms or '', ms since it was submitted or -1 when it was delayed, ... }, of which the
--         fence is attempt:nonce; groups = { lane, offer, count, ... }: whose the claimed ones are, in order, from 1;
--         dependent = { place among the claimed (from 0), ids that the task depends on, joined, ... }; traced = { place, trace context, ... }.
-- version is that of the requirements, see requirement.lua. is_cut: it stopped because it had dropped so many; what is behind them it has not
-- come to. What tenants use is counted: keep_usage comes after it.
local function claim_tasks(prefix, shard, wanted, time)
  local limit, bytes, credits = wanted.limit, wanted.bytes, wanted.credits
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local now_text = string.format('%.0f', now)
  local deadline = string.format('%.0f', now + wanted.lease)
  local claim = now_text .. ' ' .. wanted.claimant
  local promoted, claimed, groups, dependent, traced, leases = {}, {}, {}, {}, {}, {}

  local lanes = {}
  for i, lane in ipairs(wanted.lanes) do
    local requirement = lane[1]
    lanes[i] = {
      number = i, requirement = requirement, suffix = requirement == '' and '' or ':' .. requirement, offers = lane[2],
    }
  end

  -- What changes in the counts of the shard, see keys.ts: nothing in most claims.
  local counts_key = string.gsub(prefix, 'task:$', 'counts')
  local retried, dead, dropped = 0, 0, 0
  -- Takes some ten milliseconds, in which Redis serves nobody else.
  local most_dropped = 2000
  local due = redis.call('ZRANGE', shard.delayed, '-inf', now_text, 'BYSCORE', 'LIMIT', 0, 1000)
  for i = 1, #due do
    local id = due[i]
    local key = prefix .. id
    local task = redis.call('HMGET', key, 'state', 'priority', 'history', 'needs')
    if task[1] == 'delayed' or task[1] == 'retrying' then
      redis.call('HSET', key, 'state', 'queued', 'history', story(task[3], nil, nil, now_text .. ' task.due queued'))
      redis.call('LPUSH', queue_for(shard.queues[tonumber(task[2] or 2)], task[4], shard.requirements, time), id)
      promoted[#promoted + 1] = id
      promoted[#promoted + 1] = task[1]
      if task[1] == 'retrying' then retried = retried + 1 end
    end
    redis.call('ZREM', shard.delayed, id)
  end

  local last_function

  -- Takes so many ids from a list; returns how many of them were claimed, and whether the list is empty now.
  local function take(list, count, tenant)
    local ids = redis.call('RPOP', list, count)
    if not ids then return 0, true end
    local taken = 0
    for i = 1, #ids do
      local id = ids[i]
      if bytes <= 0 then
        -- Back to the claiming end, the oldest last.
        for rest = #ids, i, -1 do redis.call('RPUSH', list, ids[rest]) end
        return taken, false
      end
      local key = prefix .. id
      local task = redis.call('HMGET', key, 'state', 'function', 'args', 'attempt', 'timeout', 'deps', 'submitted', 'trace')
      if task[1] == 'queued' then
        local attempt = (task[4] or 0) + 1
        redis.call('HSET', key, 'state', 'running', 'fence', attempt .. ':' .. wanted.nonce, 'claim', claim)
        local n = #claimed
        claimed[n + 1], claimed[n + 2], claimed[n + 3] = id, task[2] == last_function and '' or task[2], task[3]
        claimed[n + 4], claimed[n + 5], claimed[n + 6] = attempt, task[5] or '', task[7] and now - task[7] or -1
        last_function = task[2]
        if task[6] then
          dependent[#dependent + 1] = n / 6
          dependent[#dependent + 1] = task[6]
        end
        if task[8] then
          traced[#traced + 1] = n / 6
          traced[#traced + 1] = task[8]
        end
        leases[#leases + 1] = deadline
        leases[#leases + 1] = id
        taken = taken + 1
        local size = task[3] and #task[3] or redis.call('HSTRLEN', key, 'large_args')
        bytes = bytes - size
        if tenant then
          use(tenant, 'waiting', -1)
          use(tenant, 'bytes', -size)
          use(tenant, 'running', 1)
        end
      else
        dead, dropped = dead + 1, dropped + 1
      end
    end
    return taken, #ids < count
  end

  local function left() return bytes > 0 and dropped < most_dropped and limit or 0 end

  -- Takes a lane's share from a list; returns whether it may have more, and workers for it, how many it took, and whether the list is empty.
  local function serve(lane, list, share, tenant)
    local has_credit, given = false, 0
    for i = 1, #lane.offers do
      local offer = lane.offers[i]
      while credits[offer] > 0 and share > 0 and left() > 0 do
        local taken, is_empty = take(list, math.min(share, credits[offer]), tenant)
        if taken > 0 then
          credits[offer] = credits[offer] - taken
          share, limit, given = share - taken, limit - taken, given + taken
          local n = #groups
          groups[n + 1], groups[n + 2], groups[n + 3] = lane.number, offer, taken
        end
        if is_empty then return false, given, true end
      end
      has_credit = has_credit or credits[offer] > 0
    end
    return has_credit, given, false
  end

  local function may_serve(lane)
    for _, offer in ipairs(lane.offers) do
      if credits[offer] > 0 then return true end
    end
    return false
  end

  local version = redis.call('HGET', shard.requirements, '') or ''
  local has_tenants = string.sub(version, -1) == '/'

  for priority = 1, 3 do
    local open = lanes
    if has_tenants and left() > 0 and serve_in_turns(shard.queues[priority], lanes, left, serve, may_serve, prefix) then open = {} end
    while left() > 0 and #open > 0 do
      local share = math.max(1, math.floor(limit / #open))
      local still = {}
      for i = 1, #open do
        local lane = open[i]
        if left() > 0 and serve(lane, shard.queues[priority] .. lane.suffix, math.min(share, limit)) then still[#still + 1] = lane end
      end
      open = still
    end
    if dead > 0 then redis.call('HINCRBY', counts_key, 'dead:' .. priority, -dead) end
    dead = 0
  end
  if retried > 0 then redis.call('HINCRBY', counts_key, 'retrying', -retried) end

  if #leases > 0 then redis.call('ZADD', shard.leases, unpack(leases)) end

  wanted.limit, wanted.bytes = limit, bytes
  return {
    promoted = promoted, claimed = claimed, groups = groups, dependent = dependent, traced = traced, version = version,
    is_cut = dropped >= most_dropped,
  }
end
