-- Finds blocked tasks that nobody has looked at for a while, and notes that somebody does now.
--
-- KEYS[1] blocked
-- ARGV[1] prefix of task keys   ARGV[2] ms since the last look   ARGV[3] most tasks   ARGV[4] most ids of each kind per task
-- ARGV[5] random number in [0, 1)
-- Returns { task, ids joined, ... }: some of the tasks that it waits for, and some of all that it depends on.

local prefix, most = ARGV[1], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen = string.format('%.0f', now - tonumber(ARGV[2]))
local answer = {}

-- Looked at in the future: the clock was set back.
local ids = redis.call('ZRANGE', KEYS[1], string.format('(%.0f', now), '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[3])
local due = redis.call('ZRANGE', KEYS[1], '-inf', seen, 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[3]) - #ids)
for i = 1, #due do ids[#ids + 1] = due[i] end
for i = 1, #ids do
  local id = ids[i]
  local task = redis.call('HMGET', prefix .. id, 'state', 'deps')
  if task[1] == 'blocked' then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now), id)
    local unmet = redis.call('SRANDMEMBER', unmet_key(prefix, id), most)
    local first = math.floor(tonumber(ARGV[5]) * (#task[2] / 36))
    answer[#answer + 1] = id
    answer[#answer + 1] = table.concat(unmet) .. string.sub(task[2], first * 36 + 1, (first + most) * 36)
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return answer
