-- Notes on tasks under which ids they are run again.
--
-- KEYS[1] any key of the shard, for the slot
-- ARGV[1] prefix of task keys   ARGV[2] '1': a note that is there stays   ARGV[3] the tenant that asks, '' for all, then per task: id, new id
-- Returns per task the id that is noted now, nil for tasks that are gone.

local prefix, once, asker = ARGV[1], ARGV[2] == '1', ARGV[3]
local noted = {}

for i = 4, #ARGV, 2 do
  local key = prefix .. ARGV[i]
  local place = (i - 2) / 2
  local task = redis.call('HMGET', key, 'state', 'needs')
  if not task[1] or not is_visible(asker, task[2]) then
    noted[place] = false
  else
    redis.call(once and 'HSETNX' or 'HSET', key, 'again', ARGV[i + 1])
    noted[place] = redis.call('HGET', key, 'again')
  end
end
return noted
