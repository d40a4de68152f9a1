-- Hands queued tasks to a dispatcher, under a lease and a new fence. First moves delayed and retrying tasks that are due back
-- into the queue. Ids in the queue whose task is no longer queued (cancelled, expired) are skipped and dropped.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] delayed   KEYS[5] leases
-- ARGV[1] prefix of task keys   ARGV[2] limit   ARGV[3] lease ms   ARGV[4] nonce   ARGV[5] claimant
-- ARGV[6] bytes of arguments after which no further task is handed out
-- Returns { promoted, claimed }: promoted = { id, from, ... };
--         claimed = { id, function id ('' for that of the task before), arguments (nil when they are in the field
--         large_args), attempt, timeout ms or '', ... }. The fence is attempt:nonce.

local prefix, limit, nonce, bytes = ARGV[1], tonumber(ARGV[2]), ARGV[4], tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
local deadline = string.format('%.0f', now + tonumber(ARGV[3]))
local claim = now_text .. ' ' .. ARGV[5]
local promoted, claimed, leases = {}, {}, {}

local due = redis.call('ZRANGE', KEYS[4], '-inf', now_text, 'BYSCORE', 'LIMIT', 0, 1000)
for i = 1, #due do
  local id = due[i]
  local key = prefix .. id
  local task = redis.call('HMGET', key, 'state', 'priority', 'history')
  if task[1] == 'delayed' or task[1] == 'retrying' then
    redis.call('HSET', key, 'state', 'queued', 'history', story(task[3], nil, nil, now_text .. ' task.due queued'))
    redis.call('LPUSH', KEYS[tonumber(task[2] or 2)], id)
    promoted[#promoted + 1] = id
    promoted[#promoted + 1] = task[1]
  end
  redis.call('ZREM', KEYS[4], id)
end

local last_function
for priority = 1, 3 do
  while limit > 0 and bytes > 0 do
    local ids = redis.call('RPOP', KEYS[priority], limit)
    if not ids then break end
    for i = 1, #ids do
      local id = ids[i]
      if bytes <= 0 then
        -- Back to the claiming end, the oldest last.
        for rest = #ids, i, -1 do redis.call('RPUSH', KEYS[priority], ids[rest]) end
        break
      end
      local key = prefix .. id
      local task = redis.call('HMGET', key, 'state', 'function', 'args', 'attempt', 'timeout')
      if task[1] == 'queued' then
        local attempt = (task[4] or 0) + 1
        redis.call('HSET', key, 'state', 'running', 'fence', attempt .. ':' .. nonce, 'claim', claim)
        local n = #claimed
        claimed[n + 1], claimed[n + 2], claimed[n + 3] = id, task[2] == last_function and '' or task[2], task[3]
        claimed[n + 4], claimed[n + 5] = attempt, task[5] or ''
        last_function = task[2]
        leases[#leases + 1] = deadline
        leases[#leases + 1] = id
        limit = limit - 1
        bytes = bytes - (task[3] and #task[3] or redis.call('HSTRLEN', key, 'large_args'))
      end
    end
  end
end

if #leases > 0 then redis.call('ZADD', KEYS[5], unpack(leases)) end
return { promoted, claimed }
