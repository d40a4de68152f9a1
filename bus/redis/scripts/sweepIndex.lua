-- Removes entries of an index stream whose tasks are all gone (expired), in one bounded step.
--
-- KEYS[1] recent or failures
-- ARGV[1] prefix of task keys   ARGV[2] entries after this id are looked at, '-' for the first   ARGV[3] most ids to look at
-- Returns { id of the last entry that was looked at or '', entries looked at, entries removed }.

local prefix, left = ARGV[1], tonumber(ARGV[3])
local from = ARGV[2] == '-' and '-' or '(' .. ARGV[2]
local entries = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', math.min(left, 200))
local last, seen, removed = '', 0, {}

for i = 1, #entries do
  if left <= 0 then break end
  local alive = false
  -- An id ends where the next one begins: those of failures carry a type behind them.
  for id in string.gmatch(entries[i][2][2], '%x+%-%x+%-%x+%-%x+%-%x%x%x%x%x%x%x%x%x%x%x%x') do
    left = left - 1
    if redis.call('EXISTS', prefix .. id) == 1 then
      alive = true
      break
    end
  end
  seen = seen + 1
  last = entries[i][1]
  if not alive then removed[#removed + 1] = last end
end

if #removed > 0 then redis.call('XDEL', KEYS[1], unpack(removed)) end
return { last, seen, #removed }
