-- Records how attempts ended. Only the attempt whose fence the task carries can settle it, and only once.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] delayed   KEYS[5] leases   KEYS[6] failures
-- KEYS[7] requirements
-- ARGV[1] prefix of task keys   ARGV[2] prefix of output keys   ARGV[3] seconds a finished task is kept, then per attempt:
--         id, fence, worker, `<started ms> <run time us> <peak memory KiB>`, payload, event; for an event other than '' (succeeded,
--         nothing printed) also: failure (JSON or ''), random number in [0, 1), output, output truncated ('1' or '')
--         A large payload is in the field large_result:<fence> already, and empty here: see largeValues.ts.
--         The event worker.lost is a dispatcher's own verdict, its payload the dispatcher's id: an interruption, unless another
--         dispatcher has adopted the attempt.
-- Returns one text per attempt: the new state, or 'duplicate', or 'stale'; behind an end the tasks that depend on it, joined. Only an integer
-- when each value and exception was taken for an answer and nobody depends on them: to how many of their readers they were told.
--
-- Who waits for a task since it was submitted, its reader, is told of its end on the channel `ended:<reader>`: the moment it is true, and
-- with what was returned or raised unless it is large. { id, state, bytes of the payload (-1: to be read), bytes of the failure, ... } as
-- JSON, a line's end, and these bytes.
--
-- An exception that the task's retry policy covers is no answer: `task.raised` becomes `task.retried`. Such attempts do not count for
-- the limit of interrupted ones. The random number is for the jitter of the delay.

local prefix, output_prefix, ttl = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
local now_and = now_text .. ' '
local verdicts = {}
local finished_leases = {}
local readers, ends, values, told = {}, {}, {}, 0

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

local function complete(key, worker, ran, payload, kept)
  redis.call('HSET', key, 'state', 'completed', 'result', payload, 'worker', worker, 'ran', now_and .. ran, 'args', '')
  tally('completed', 1)
  redis.call('EXPIRE', key, kept)
  return 'completed'
end

local function fail(id, key, worker, ran, payload, kept, failure, ending)
  -- A failed task keeps its arguments, so that it can be run again.
  redis.call('HSET', key, 'state', 'failed', 'result', payload, 'worker', worker, 'ran', now_and .. ran, 'ended', ending)
  if failure ~= '' then redis.call('HSET', key, 'failure', failure) end
  redis.call('EXPIRE', key, kept)
  failed_as(id, string.match(failure, '"type":"(%a+)"') or 'UserException',
    redis.call('HGET', key, 'needs'))
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

-- A class that the exception is of is named by the policy, bare or with its module; without names any Exception is meant.
local function covers(policy, failure)
  if type(failure.bases) ~= 'table' then return false end
  for _, base in ipairs(failure.bases) do
    if not policy.on then
      if base == 'Exception' then return true end
    else
      local bare = string.match(base, '[^.]*$')
      for _, name in ipairs(policy.on) do
        if name == base or name == bare then return true end
      end
    end
  end
  return false
end

-- Milliseconds until the next attempt after an exception, and the name of the exception; nothing when it is the answer.
local function retry_of(key, policy_json, retries, failure, random)
  local policy, raised = cjson.decode(policy_json), decode_failure(failure)
  if retries >= policy.maxRetries or not covers(policy, raised) then return end
  redis.call('HSET', key, 'retries', retries + 1)
  local delay = math.min(policy.maxBackoffMs, policy.backoffMs * policy.backoffFactor ^ retries)
  -- A class may be named anything; the history is a text of lines.
  local exception = string.sub(string.gsub(raised.exception or 'exception', '%c', '?'), 1, 200)
  return math.floor(delay * (1 - policy.jitter * random)), exception
end

local function end_attempt(id, key, worker, ran, payload, kept, event, failure, random)
  if event == 'task.succeeded' then return complete(key, worker, ran, payload, kept) end
  local task = redis.call('HMGET', key, 'fence', 'max', 'priority', 'interruptions', 'retry', 'retries')
  local retries = tonumber(task[6] or 0)
  local on_worker = ' on ' .. worker
  if event == 'task.raised' then
    local delay, exception
    if task[5] then delay, exception = retry_of(key, task[5], retries, failure, tonumber(random)) end
    if not delay then return fail(id, key, worker, ran, payload, kept, failure, now_and .. 'task.raised failed' .. on_worker) end
    redis.call('ZADD', KEYS[4], string.format('%.0f', now + delay), id)
    tally('retrying', 1)
    return wait_again(id, key, 'retrying', worker, now_and
      .. string.format('task.retried retrying%s: %s, next attempt in %.0f ms', on_worker, exception, delay))
  end
  local decoded = decode_failure(failure)
  local cause = decoded.signal or (decoded.exitCode and 'exit code ' .. decoded.exitCode) or decoded.type
  local interruptions = (task[4] and task[4] .. ', ' or '') .. cause
  local detail = on_worker .. ': ' .. cause
  if attempt_of(task[1]) - retries < tonumber(task[2] or 3) then
    redis.call('HSET', key, 'interruptions', interruptions)
    -- To the claiming end: it has waited its turn already.
    local list = queue_for(KEYS[tonumber(task[3] or 2)], redis.call('HGET', key, 'needs'), KEYS[7], time)
    redis.call('RPUSH', list, id)
    return wait_again(id, key, 'queued', worker, now_and .. 'task.interrupted queued' .. detail)
  end
  failure = with_attempts(decoded, interruptions)
  return fail(id, key, worker, ran, payload, kept, failure, now_and .. 'task.interrupted failed' .. detail)
end

local function tell(reader, id, state, payload, failure)
  if not ends[reader] then
    readers[#readers + 1] = reader
    ends[reader], values[reader] = {}, {}
  end
  local header, bytes = ends[reader], values[reader]
  local is_whole = payload ~= ''
  local n = #header
  header[n + 1], header[n + 2], header[n + 3], header[n + 4] = id, state, is_whole and #payload or -1, is_whole and #failure or 0
  if is_whole then
    bytes[#bytes + 1] = payload
    bytes[#bytes + 1] = failure
  end
end

-- Has the dispatcher claimed or adopted the attempt, and nobody after it?
local function has(key, dispatcher)
  local claim = redis.call('HGET', key, 'claim')
  return claim and string.match(claim, ' (.*)') == dispatcher
end

local are_plain = true
local at = 4
while at <= #ARGV do
  local id, fence, worker, ran, payload, event = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  at = at + 6
  local failure, random, output, truncated = '', '0', '', ''
  if event ~= '' then
    failure, random, output, truncated = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    at = at + 4
  end
  local key = prefix .. id
  local task = redis.call('HMGET', key, 'state', 'fence', 'after', 'large', 'needs', 'reader')
  local large_result = payload == '' and 'large_result:' .. fence
  local is_large = large_result and redis.call('HEXISTS', key, large_result) == 1
  local verdict = 'stale'
  if event == 'worker.lost' then
    if not has(key, payload) then fence = '' end -- Which no task has.
    event, payload = 'task.interrupted', ''
  end
  if task[2] == fence and task[1] == 'running' then
    local kept = seconds_kept(task[3], ttl)
    if event == '' then
      verdict = complete(key, worker, ran, payload, kept)
    else
      verdict = end_attempt(id, key, worker, ran, payload, kept, event, failure, random)
      if output ~= '' then
        redis.call('SET', output_prefix .. id, output, 'EX', kept)
        if truncated ~= '' then redis.call('HSET', key, 'output_truncated', '1') end
      end
    end
    if task[4] and verdict == 'completed' then redis.call('HDEL', key, 'large', 'large_args') end
    if is_large and (verdict == 'completed' or verdict == 'failed') then redis.call('HDEL', key, 'result') end
    if task[5] then moved(task[5], key, 'running', verdict) end
    if task[6] and (verdict == 'completed' or verdict == 'failed') then tell(task[6], id, verdict, payload, failure) end
    finished_leases[#finished_leases + 1] = id
  elseif task[2] == fence and (task[1] == 'completed' or task[1] == 'failed') then
    verdict = 'duplicate'
  end
  if is_large then
    -- Only in the place of a result does it stay.
    local is_result = verdict == 'completed' or verdict == 'failed' or verdict == 'duplicate'
    if not is_result or redis.call('HEXISTS', key, 'result') == 1 then redis.call('HDEL', key, large_result) end
  end
  if task[3] and (verdict == 'completed' or verdict == 'failed') then
    verdict = verdict .. take_dependents(prefix, id, task[3])
  end
  are_plain = are_plain and verdict == (event == 'task.raised' and 'failed' or 'completed')
  verdicts[#verdicts + 1] = verdict
end

if #finished_leases > 0 then redis.call('ZREM', KEYS[5], unpack(finished_leases)) end
index_failures(KEYS[6])
keep_counts(prefix)
keep_retained(prefix, time)
keep_usage(prefix, time)
for _, reader in ipairs(readers) do
  local heard = redis.call('PUBLISH', 'ended:' .. reader, cjson.encode(ends[reader]) .. '\n' .. table.concat(values[reader]))
  if heard > 0 then told = told + #ends[reader] / 4 end
end
if are_plain then return told end
return verdicts
