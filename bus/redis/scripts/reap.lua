-- Takes tasks back whose lease has run out: their worker or dispatcher is gone. Not for one lease after a time in which the living
-- may have been unable to renew: Redis has restarted, or stood still, or its clock has leapt, or nobody has reaped and so could tell.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] leases   KEYS[5] epoch   KEYS[6] failures
-- KEYS[7] requirements
-- ARGV[1] prefix of task keys   ARGV[2] seconds a finished task is kept   ARGV[3] lease ms   ARGV[4] limit
-- Returns { paused (0 or 1), { id, new state, attempt, failure or '', '' or a space and the tasks that depend on it }, ... }

local prefix, ttl, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)

local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local epoch = redis.call('HMGET', KEYS[5], 'run_id', 'last', 'grace', 'gaps')
local last, grace, gaps = tonumber(epoch[2] or now_text), tonumber(epoch[3] or '0'), tonumber(epoch[4] or '0')

if now < last then
  -- The clock was set back: no lease may outlast one that begins now.
  local latest = string.format('%.0f', now + lease_ms)
  local beyond = redis.call('ZRANGE', KEYS[4], '(' .. latest, '+inf', 'BYSCORE')
  for i = 1, #beyond do redis.call('ZADD', KEYS[4], latest, beyond[i]) end
end

-- Leases are renewed every third of their length: in a longer gap between two reaps some of the living may have missed their turn.
-- One gap after the other is no standstill but the way this platform reaps: after the third they count as time that has passed.
local gap, longest = math.max(0, now - last), math.max(1, math.floor(lease_ms / 3))
gaps = gap > longest and gaps + 1 or 0
if (epoch[1] and epoch[1] ~= run_id) or (gaps > 0 and gaps <= 3) then
  grace = lease_ms
else
  grace = math.max(0, math.min(grace, lease_ms) - math.min(gap, longest))
end
redis.call('HSET', KEYS[5], 'run_id', run_id, 'last', now_text, 'grace', string.format('%.0f', grace), 'gaps', gaps)
if grace > 0 then return { 1 } end

local answer = { 0 }
local expired = redis.call('ZRANGE', KEYS[4], '-inf', now_text, 'BYSCORE', 'LIMIT', 0, ARGV[4])
for i = 1, #expired do
  local id = expired[i]
  local key = prefix .. id
  local task = redis.call('HMGET', key, 'state', 'fence', 'max', 'priority', 'history', 'interruptions', 'worker', 'claim',
    'retries', 'after', 'needs')
  if task[1] == 'running' then
    local attempt, claim, cause = attempt_of(task[2]), task[8], 'lease expired'
    local holder = task[7] or string.match(claim, ' (.*)')
    local interruptions = (task[6] and task[6] .. ', ' or '') .. cause
    local detail = ' on ' .. holder .. ': ' .. cause
    local state, failure = 'queued', ''
    if attempt - (task[9] or 0) < tonumber(task[3] or 3) then
      redis.call('RPUSH', queue_for(KEYS[tonumber(task[4] or 2)], task[11], KEYS[7], time), id)
      redis.call('HSET', key, 'state', state, 'attempt', attempt, 'interruptions', interruptions,
        'history', story(task[5], claim, attempt, now_text .. ' task.interrupted queued' .. detail))
      redis.call('HDEL', key, 'claim')
    else
      state = 'failed'
      failure = cjson.encode({ type = 'WorkerFailure', message = 'the worker was lost while it had the task, last seen at '
        .. holder .. ' (attempts ended by: ' .. interruptions .. ')' })
      redis.call('HSET', key, 'state', state, 'failure', failure, 'ended', now_text .. ' task.interrupted failed' .. detail)
      redis.call('EXPIRE', key, seconds_kept(task[10], ttl))
      failed_as(id, 'WorkerFailure', task[11])
    end
    moved(task[11], key, 'running', state)
    answer[#answer + 1] = { id, state, attempt, failure, state == 'failed' and take_dependents(prefix, id, task[10]) or '' }
  end
  redis.call('ZREM', KEYS[4], id)
end
index_failures(KEYS[6])
keep_counts(prefix)
keep_retained(prefix, time)
keep_usage(prefix, time)
return answer
