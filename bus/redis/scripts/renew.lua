-- Extends the leases of attempts that are still running under the same fence, and notes which worker has them, and which dispatcher
-- when it is another one now.
--
-- KEYS[1] leases
-- ARGV[1] prefix of task keys   ARGV[2] lease ms   ARGV[3] the dispatcher that adopts them, or '', then per attempt:
--         id, fence, worker
-- Returns one integer per attempt: 1 renewed, 0 refused (the attempt is no longer its holder's).

local prefix = ARGV[1]
local time = redis.call('TIME')
local deadline = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2]))
local adopter = ARGV[3]
local verdicts = {}

for i = 4, #ARGV, 3 do
  local id = ARGV[i]
  local key = prefix .. id
  local task = redis.call('HMGET', key, 'state', 'fence', 'worker')
  if task[1] == 'running' and task[2] == ARGV[i + 1] then
    redis.call('ZADD', KEYS[1], deadline, id)
    if task[3] ~= ARGV[i + 2] then redis.call('HSET', key, 'worker', ARGV[i + 2]) end
    if adopter ~= '' then
      local claimed = string.match(redis.call('HGET', key, 'claim'), '^%d+')
      redis.call('HSET', key, 'claim', claimed .. ' ' .. adopter)
    end
    verdicts[#verdicts + 1] = 1
  else
    verdicts[#verdicts + 1] = 0
  end
end
return verdicts
