-- Notes on tasks under which ids they are run again.
--
-- KEYS[1] any key of the shard, for the slot
-- ARGV[1] prefix of task keys   ARGV[2] '1': a note that is there stays, then per task: id, new id
-- Returns per task the id that is noted now, nil for tasks that are gone.

local prefix, once = ARGV[1], ARGV[2] == '1'
local noted = {}

for i = 3, #ARGV, 2 do
  local key = prefix .. ARGV[i]
  local place = (i - 1) / 2
  if redis.call('EXISTS', key) == 0 then
    noted[place] = false
  else
    redis.call(once and 'HSETNX' or 'HSET', key, 'again', ARGV[i + 1])
    noted[place] = redis.call('HGET', key, 'again')
  end
end
return noted
