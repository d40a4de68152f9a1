-- Reads what was added to a group from a position on, and keeps the group for those who still look at it. See groupAppend.lua.
--
-- KEYS[1] group
-- ARGV[1] position   ARGV[2] most ids   ARGV[3] seconds to keep the group at least
-- Returns { total, closed, Redis' time in seconds, addition, ... }, or nothing when there is no such group.

local group = redis.call('HMGET', KEYS[1], 'total', 'closed')
if not group[1] then return false end
local total, position, limit = tonumber(group[1]), tonumber(ARGV[1]), tonumber(ARGV[2])
local answer = { total, group[2] and 1 or 0, tonumber(redis.call('TIME')[1]) }
while position < total and limit > 0 do
  local addition = redis.call('HGET', KEYS[1], position)
  if not addition then return redis.error_reply('groupRead: no addition begins at ' .. position) end
  answer[#answer + 1] = addition
  local count = (#addition - 10) / 36
  position = position + count
  limit = limit - count
end
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[3]) / 2 then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return answer
