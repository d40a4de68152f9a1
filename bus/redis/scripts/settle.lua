-- Records how attempts ended. Only the attempt whose fence the task carries can settle it, and only once.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] delayed   KEYS[5] leases
-- ARGV[1] prefix of task keys   ARGV[2] prefix of output keys   ARGV[3] seconds a finished task is kept, then per attempt:
--         id, fence, event, payload, failure (JSON or ''), retry delay ms, worker, started ms, run time us, peak memory KiB,
--         output, output truncated ('1' or '')
-- Returns one text per attempt: the new state, or 'duplicate', or 'stale'.

local prefix, output_prefix, ttl = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
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

for i = 4, #ARGV, 12 do
  local id, event, failure, worker = ARGV[i], ARGV[i + 2], ARGV[i + 4], ARGV[i + 6]
  local key = prefix .. id
  local task = redis.call('HMGET', key, 'state', 'fence', 'attempt', 'max', 'history', 'priority', 'interruptions')
  local verdict
  if task[2] ~= ARGV[i + 1] then
    verdict = 'stale'
  elseif task[1] == 'completed' or task[1] == 'failed' then
    verdict = 'duplicate'
  elseif task[1] ~= 'running' then
    verdict = 'stale'
  else
    local detail = ' on ' .. worker
    if event == 'task.succeeded' then
      verdict = 'completed'
    elseif event == 'task.raised' then
      verdict = 'failed'
    elseif event == 'task.retried' and tonumber(task[3]) < tonumber(task[4]) then
      verdict = 'retrying'
    elseif event == 'task.retried' then
      verdict = 'failed'
      event = 'task.raised'
    elseif event == 'task.interrupted' then
      local decoded = decode_failure(failure)
      local cause = decoded.signal or (decoded.exitCode and 'exit code ' .. decoded.exitCode) or decoded.type
      local interruptions = (task[7] and task[7] .. ', ' or '') .. cause
      detail = detail .. ': ' .. cause
      if tonumber(task[3]) < tonumber(task[4]) then
        verdict = 'queued'
        redis.call('HSET', key, 'interruptions', interruptions)
      else
        verdict = 'failed'
        failure = with_attempts(decoded, interruptions)
      end
    else
      return redis.error_reply('settle: unknown event ' .. event)
    end
    local history = task[5] .. '\n' .. now_text .. ' ' .. event .. ' ' .. verdict .. detail
    if verdict == 'completed' or verdict == 'failed' then
      redis.call('HSET', key, 'state', verdict, 'result', ARGV[i + 3], 'worker', worker, 'started', ARGV[i + 7],
        'run_us', ARGV[i + 8], 'peak_kib', ARGV[i + 9], 'finished', now_text, 'history', history)
      if failure ~= '' then redis.call('HSET', key, 'failure', failure) end
      -- A failed task keeps its arguments, so that it can be run again.
      if verdict == 'completed' then redis.call('HDEL', key, 'args') end
      redis.call('EXPIRE', key, ttl)
    else
      redis.call('HSET', key, 'state', verdict, 'worker', worker, 'history', history)
      if verdict == 'retrying' then
        redis.call('ZADD', KEYS[4], string.format('%.0f', now + tonumber(ARGV[i + 5])), id)
      else
        -- To the claiming end: it has waited its turn already.
        redis.call('RPUSH', KEYS[tonumber(task[6])], id)
      end
    end
    if ARGV[i + 10] ~= '' then
      redis.call('SET', output_prefix .. id, ARGV[i + 10], 'EX', ttl)
      if ARGV[i + 11] ~= '' then redis.call('HSET', key, 'output_truncated', '1') end
    end
    finished_leases[#finished_leases + 1] = id
  end
  verdicts[#verdicts + 1] = verdict
end

if #finished_leases > 0 then redis.call('ZREM', KEYS[5], unpack(finished_leases)) end
return verdicts
