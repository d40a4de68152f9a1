-- Tells blocked tasks that one they depend on has ended. Repeating it changes nothing.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] delayed   KEYS[5] blocked   KEYS[6] failures   KEYS[7] requirements
-- ARGV[1] prefix of task keys   ARGV[2] seconds a finished task is kept, then per end: dependent, dependency,
--         state of the dependency ('' when it is not there any more)
-- Returns one text per end: '' (still blocked, or not blocked any more), 'queued', 'delayed', or 'failed', followed by the tasks that
-- depend on the failed one.

local prefix, ttl = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
local answer = {}

local WORDS = { failed = 'failed', cancelled = 'was cancelled', [''] = 'is not there any more: its result has expired' }

local function unblock(id, key, history, priority, due, requirement)
  local state = 'queued'
  if due and tonumber(due) > now then
    state = 'delayed'
    redis.call('ZADD', KEYS[4], due, id)
  else
    redis.call('LPUSH', queue_for(KEYS[tonumber(priority or 2)], requirement, KEYS[7], time), id)
  end
  redis.call('HSET', key, 'state', state, 'history', story(history, nil, nil, now_text .. ' task.unblocked ' .. state))
  return state
end

local function fail(id, key, after, needs, dependency, state)
  local message = 'task ' .. dependency .. ', which it depends on, ' .. WORDS[state]
  redis.call('HSET', key, 'state', 'failed', 'ended', now_text .. ' task.dependencyFailed failed ' .. message,
    'failure', cjson.encode({ type = 'DependencyFailed', message = message }))
  redis.call('EXPIRE', key, seconds_kept(after, ttl))
  redis.call('DEL', unmet_key(prefix, id))
  failed_as(id, 'DependencyFailed', needs)
  return 'failed' .. take_dependents(prefix, id, after)
end

for i = 3, #ARGV, 3 do
  local id, dependency, state = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local key = prefix .. id
  local task = redis.call('HMGET', key, 'state', 'history', 'priority', 'due', 'after', 'needs')
  local verdict = ''
  if task[1] == 'blocked' then
    if WORDS[state] then
      verdict = fail(id, key, task[5], task[6], dependency, state)
      moved(task[6], key, 'blocked', 'failed')
    else
      local unmet = unmet_key(prefix, id)
      redis.call('SREM', unmet, dependency)
      if redis.call('EXISTS', unmet) == 0 then verdict = unblock(id, key, task[2], task[3], task[4], task[6]) end
    end
    if verdict ~= '' then redis.call('ZREM', KEYS[5], id) end
  end
  answer[#answer + 1] = verdict
end
index_failures(KEYS[6])
keep_counts(prefix)
keep_retained(prefix, time)
keep_usage(prefix, time)
return answer
