-- Accepts a batch of new tasks. An id that exists already is left as it is, so a repeated submission is harmless.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] delayed   KEYS[5] recent
-- ARGV[1] prefix of task keys (in the slot of the KEYS), then per run of tasks that are alike:
--         function id, priority (1..3), max attempts, timeout ms, delay ms, '' or JSON of the fields that few tasks have (taskExtras.ts), number
--         of tasks, then per task: id, arguments.
--         Large arguments are in the field large_args already, and empty here: see largeValues.ts.
-- Returns one integer per task: 1 accepted, 0 existing.

local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
local verdicts = {}
local pushes = { {}, {}, {} }
local accepted = {}

local at = 2
while at <= #ARGV do
  local function_id, priority, max, timeout = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local delay, extras, count = tonumber(ARGV[at + 4]), ARGV[at + 5], tonumber(ARGV[at + 6])
  at = at + 7
  local push = pushes[tonumber(priority)]
  local state, since, since_text = 'queued', 'submitted', now_text
  if delay > 0 then state, since, since_text = 'delayed', 'history', now_text .. ' task.submitted delayed' end
  -- What is usual takes no room.
  local unusual = {}
  if priority ~= '2' then unusual[#unusual + 1] = 'priority'; unusual[#unusual + 1] = priority end
  if max ~= '3' then unusual[#unusual + 1] = 'max'; unusual[#unusual + 1] = max end
  if timeout ~= '0' then unusual[#unusual + 1] = 'timeout'; unusual[#unusual + 1] = timeout end
  if extras ~= '' then
    for field, value in pairs(cjson.decode(extras)) do unusual[#unusual + 1] = field; unusual[#unusual + 1] = value end
  end

  for i = at, at + 2 * count - 2, 2 do
    local id = ARGV[i]
    local key = prefix .. id
    local before = redis.call('HGET', key, 'state')
    if before then
      if before == 'completed' then redis.call('HDEL', key, 'large_args') end
      verdicts[#verdicts + 1] = 0
    else
      redis.call('HSET', key, 'state', state, 'function', function_id, 'args', ARGV[i + 1], since, since_text, unpack(unusual))
      if ARGV[i + 1] == '' and redis.call('HEXISTS', key, 'large_args') == 1 then
        redis.call('HSET', key, 'large', '1')
        redis.call('HDEL', key, 'args')
      end
      if delay > 0 then
        redis.call('ZADD', KEYS[4], string.format('%.0f', now + delay), id)
      else
        push[#push + 1] = id
      end
      accepted[#accepted + 1] = id
      verdicts[#verdicts + 1] = 1
    end
  end
  at = at + 2 * count
end

for priority = 1, 3 do
  if #pushes[priority] > 0 then redis.call('LPUSH', KEYS[priority], unpack(pushes[priority])) end
end
-- One entry for the whole batch, for lists: see taskIndex.ts.
if #accepted > 0 then
  redis.call('XADD', KEYS[5], 'MAXLEN', '~', 5000000, '*', 'ids', table.concat(accepted))
end
return verdicts
