-- Reads what a list shows of tasks, those alone that match.
--
-- KEYS[1] any key of the shard, for the slot
-- ARGV[1] prefix of task keys   ARGV[2] states, each between spaces, or '' for any   ARGV[3] function id, or '' for any
-- ARGV[4] the tenant that asks, '' for all   ARGV[5] number of fields, then their names, history and failure at the end; then ids
-- Returns per task nil, or its fields; of the history the first line, of the failure the beginning of its message.

local prefix, states, wanted, asker, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local fields = {}
for i = 1, count do fields[i] = ARGV[5 + i] end
local answer = {}

local function brief(failure)
  local ok, decoded = pcall(cjson.decode, failure)
  if not ok or type(decoded) ~= 'table' then return false end
  local message = type(decoded.message) == 'string' and string.sub(decoded.message, 1, 500) or ''
  return cjson.encode({ type = decoded.type, exception = decoded.exception, message = message })
end

for i = 6 + count, #ARGV do
  local key = prefix .. ARGV[i]
  local task = redis.call('HMGET', key, 'state', 'function', 'needs')
  local state = task[1]
  local found = false
  if state and (states == '' or string.find(states, ' ' .. state .. ' ', 1, true)) and (wanted == '' or task[2] == wanted)
    and is_visible(asker, task[3]) then
    found = redis.call('HMGET', key, unpack(fields))
    found[count - 1] = found[count - 1] and string.match(found[count - 1], '^[^\n]*')
    found[count] = found[count] and brief(found[count])
  end
  answer[#answer + 1] = found
end
return answer
