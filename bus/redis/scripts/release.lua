-- Gives back attempts that have not started (drain, take-back): queued again, at the claiming end, the attempt uncounted.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] leases   KEYS[5] requirements
-- ARGV[1] prefix of task keys, then per attempt: id, fence
-- Returns one integer per attempt: 1 released, 0 refused.

local prefix = ARGV[1]
local time = redis.call('TIME')
local now_text = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local verdicts = {}

for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  local key = prefix .. id
  local task = redis.call('HMGET', key, 'state', 'fence', 'priority', 'claim', 'history', 'needs')
  if task[1] == 'running' and task[2] == ARGV[i + 1] then
    local attempt = attempt_of(task[2])
    redis.call('HSET', key, 'state', 'queued', 'attempt', attempt - 1,
      'history', story(task[5], task[4], attempt, now_text .. ' task.released queued'))
    -- A fence is good for one claim: what was given back can be settled by nobody.
    redis.call('HDEL', key, 'fence', 'claim')
    redis.call('ZREM', KEYS[4], id)
    redis.call('RPUSH', queue_for(KEYS[tonumber(task[3] or 2)], task[6], KEYS[5], time), id)
    moved(task[6], key, 'running', 'queued')
    verdicts[#verdicts + 1] = 1
  else
    verdicts[#verdicts + 1] = 0
  end
end
keep_usage(prefix, time)
return verdicts
