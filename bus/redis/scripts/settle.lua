-- Records how attempts ended. Only the attempt whose fence the task carries can settle it, and only once.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] delayed   KEYS[5] leases
-- ARGV[1] prefix of task keys   ARGV[2] prefix of output keys   ARGV[3] seconds a finished task is kept, then per attempt:
--         id, fence, worker, `<started ms> <run time us> <peak memory KiB>`, payload, event; for an event other than '' (succeeded,
--         nothing printed) also: failure (JSON or ''), retry delay ms, output, output truncated ('1' or '')
-- Returns one text per attempt: the new state, or 'duplicate', or 'stale'.

local prefix, output_prefix, ttl = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
local now_and = now_text .. ' '
local verdicts = {}
local finished_leases = {}

-- What a worker says of an interruption; one that says nothing usable must not stop the batch that it is in.
local function decode_failure(failure)
  local ok, decoded = pcall(cjson.decode, failure)
  if ok and type(decoded) == 'table' then return decoded end
  return { type = 'WorkerFailure', message = 'the worker did not say why the attempt ended' }
end

-- The last failure of a task that kept being interrupted tells how each attempt ended.
local function with_attempts(decoded, interruptions)
  decoded.message = decoded.message .. ' (attempts ended by: ' .. interruptions .. ')'
  return cjson.encode(decoded)
end

local function complete(key, worker, ran, payload)
  redis.call('HSET', key, 'state', 'completed', 'result', payload, 'worker', worker, 'ran', now_and .. ran, 'args', '')
  redis.call('EXPIRE', key, ttl)
  return 'completed'
end

local function fail(key, worker, ran, payload, failure, ending)
  -- A failed task keeps its arguments, so that it can be run again.
  redis.call('HSET', key, 'state', 'failed', 'result', payload, 'worker', worker, 'ran', now_and .. ran, 'ended', ending)
  if failure ~= '' then redis.call('HSET', key, 'failure', failure) end
  redis.call('EXPIRE', key, ttl)
  return 'failed'
end

local function wait_again(id, key, state, worker, ending)
  local task = redis.call('HMGET', key, 'fence', 'claim', 'history')
  local attempt = attempt_of(task[1])
  redis.call('HSET', key, 'state', state, 'worker', worker, 'attempt', attempt,
    'history', story(task[3], task[2], attempt, ending))
  redis.call('HDEL', key, 'claim')
  return state
end

local function end_attempt(id, key, worker, ran, payload, event, failure, retry_delay)
  if event == 'task.succeeded' then return complete(key, worker, ran, payload) end
  local task = redis.call('HMGET', key, 'fence', 'max', 'priority', 'interruptions')
  local attempts_left = attempt_of(task[1]) < tonumber(task[2] or 3)
  local on_worker = ' on ' .. worker
  if event == 'task.retried' and attempts_left then
    redis.call('ZADD', KEYS[4], string.format('%.0f', now + tonumber(retry_delay)), id)
    return wait_again(id, key, 'retrying', worker, now_and .. 'task.retried retrying' .. on_worker)
  elseif event == 'task.raised' or event == 'task.retried' then
    return fail(key, worker, ran, payload, failure, now_and .. 'task.raised failed' .. on_worker)
  end
  local decoded = decode_failure(failure)
  local cause = decoded.signal or (decoded.exitCode and 'exit code ' .. decoded.exitCode) or decoded.type
  local interruptions = (task[4] and task[4] .. ', ' or '') .. cause
  local detail = on_worker .. ': ' .. cause
  if attempts_left then
    redis.call('HSET', key, 'interruptions', interruptions)
    -- To the claiming end: it has waited its turn already.
    redis.call('RPUSH', KEYS[tonumber(task[3] or 2)], id)
    return wait_again(id, key, 'queued', worker, now_and .. 'task.interrupted queued' .. detail)
  end
  failure = with_attempts(decoded, interruptions)
  return fail(key, worker, ran, payload, failure, now_and .. 'task.interrupted failed' .. detail)
end

local at = 4
while at <= #ARGV do
  local id, fence, worker, ran, payload, event = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  at = at + 6
  local failure, retry_delay, output, truncated = '', '0', '', ''
  if event ~= '' then
    failure, retry_delay, output, truncated = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    at = at + 4
  end
  local key = prefix .. id
  local task = redis.call('HMGET', key, 'state', 'fence')
  local verdict = 'stale'
  if task[2] == fence and task[1] == 'running' then
    if event == '' then
      verdict = complete(key, worker, ran, payload)
    else
      verdict = end_attempt(id, key, worker, ran, payload, event, failure, retry_delay)
      if output ~= '' then
        redis.call('SET', output_prefix .. id, output, 'EX', ttl)
        if truncated ~= '' then redis.call('HSET', key, 'output_truncated', '1') end
      end
    end
    finished_leases[#finished_leases + 1] = id
  elseif task[2] == fence and (task[1] == 'completed' or task[1] == 'failed') then
    verdict = 'duplicate'
  end
  verdicts[#verdicts + 1] = verdict
end

if #finished_leases > 0 then redis.call('ZREM', KEYS[5], unpack(finished_leases)) end
return verdicts
