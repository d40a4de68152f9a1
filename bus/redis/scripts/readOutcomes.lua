-- Reads the outcomes of many tasks at once, until about so many bytes have been read.
--
-- KEYS[1] any key of the shard, for the slot
-- ARGV[1] prefix of task keys   ARGV[2] bytes   ARGV[3] the tenant that asks, '' for all, then ids
-- Returns state, result, failure (JSON) of each, all three nil for unknown ones; shorter than the ids when the bytes were spent.
-- A large result is not returned but named, { field }: see largeValues.ts.

local prefix, bytes, asker = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local answer = {}
for i = 4, #ARGV do
  local task
  if asker == '' or is_visible(asker, redis.call('HGET', prefix .. ARGV[i], 'needs')) then
    task = redis.call('HMGET', prefix .. ARGV[i], 'state', 'result', 'failure')
  else
    task = { false, false, false }
  end
  local n = 3 * (i - 4)
  answer[n + 1], answer[n + 2], answer[n + 3] = task[1], task[2], task[3]
  if not task[2] and (task[1] == 'completed' or task[1] == 'failed') then
    local field = 'large_result:' .. (redis.call('HGET', prefix .. ARGV[i], 'fence') or '')
    local length = redis.call('HSTRLEN', prefix .. ARGV[i], field)
    if length > 0 then
      answer[n + 2] = { field }
      bytes = bytes - length
    end
  end
  bytes = bytes - (task[2] and #task[2] or 0) - (task[3] and #task[3] or 0)
  if bytes <= 0 then break end
end
return answer
