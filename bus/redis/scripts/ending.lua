-- Put before scripts that end tasks. Few tasks have the field `after`: seconds for which the finished task is kept, where they are
-- its own, and a `+` when other tasks depend on it.

-- Its value may be needed later than its own client says.
local function seconds_kept(after, usual)
  local own = after and string.match(after, '^%d+')
  if not own then return usual end
  if string.sub(after, -1) == '+' and tonumber(own) < tonumber(usual) then return usual end
  return own
end

-- What this call changes in the counts of the shard, see keys.ts.
local changes = {}

local function tally(field, change)
  changes[field] = (changes[field] or 0) + change
end

-- What goes into the index of failed and cancelled tasks.
local function failed_as(id, failure_type, needs)
  local own, others = indexes_of(tenant_of(needs))
  own[#own + 1] = id .. failure_type
  if others then others[#others + 1] = id .. failure_type end
  tally(failure_type, 1)
end

-- The counts that changed: one command for each, however many tasks there were.
local function keep_counts(prefix)
  local key = string.gsub(prefix, 'task:$', 'counts')
  for field, change in pairs(changes) do redis.call('HINCRBY', key, field, change) end
end

local function index_failures(stream)
  write_indexes(stream, 1000000, ' ')
end
