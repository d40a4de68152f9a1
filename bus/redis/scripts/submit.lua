-- Accepts a batch of new tasks. An id that exists already is left as it is, so a repeated submission is harmless.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] delayed
-- ARGV[1] prefix of task keys (in the slot of the KEYS), then per task:
--         id, function id, arguments, priority (1..3), max attempts, timeout ms, delay ms
-- Returns one integer per task: 1 accepted, 0 existing.

local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
local verdicts = {}
local pushes = { {}, {}, {} }

for i = 2, #ARGV, 7 do
  local id = ARGV[i]
  local key = prefix .. id
  if redis.call('EXISTS', key) == 1 then
    verdicts[#verdicts + 1] = 0
  else
    local delay = tonumber(ARGV[i + 6])
    local state = 'queued'
    if delay > 0 then
      state = 'delayed'
      redis.call('ZADD', KEYS[4], string.format('%.0f', now + delay), id)
    else
      local push = pushes[tonumber(ARGV[i + 3])]
      push[#push + 1] = id
    end
    redis.call('HSET', key, 'state', state, 'function', ARGV[i + 1], 'args', ARGV[i + 2], 'priority', ARGV[i + 3],
      'max', ARGV[i + 4], 'timeout', ARGV[i + 5], 'history', now_text .. ' task.submitted ' .. state)
    verdicts[#verdicts + 1] = 1
  end
end

for priority = 1, 3 do
  if #pushes[priority] > 0 then
    redis.call('LPUSH', KEYS[priority], unpack(pushes[priority]))
  end
end
return verdicts
