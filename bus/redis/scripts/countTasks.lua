-- Counts the tasks of a shard, at one moment: waiting and running ones by the lengths of what they are in, ended ones by their counts.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] delayed   KEYS[5] leases   KEYS[6] blocked   KEYS[7] requirements   KEYS[8] counts
-- ARGV[1] prefix of task keys
-- Returns { high, normal, low, delayed and retrying, running, blocked, ms when the oldest queued task was submitted or '' }, and the
-- counts: { field, change, ... }.

-- Entries of cancelled tasks lie in the queues until their turn comes. So many are looked through for one that is still queued.
local MOST_PASSED = 20
local oldest

-- '' among them, which is the version's field, where there is one.
local requirements = redis.call('HKEYS', KEYS[7])
local has_tenants = string.sub(redis.call('HGET', KEYS[7], '') or '', -1) == '/'

-- Tenants that run as many tasks as they may have left the turns, see turns.lua; what they submit meanwhile puts them back.
local held = has_tenants and redis.call('HVALS', (string.gsub(ARGV[1], 'task:$', 'held'))) or {}

local function lists_of(queue)
  local lists, known = { queue }, {}
  local function add(lane)
    if not known[lane] then lists[#lists + 1] = queue .. ':' .. lane end
    known[lane] = true
  end
  for _, requirement in ipairs(requirements) do
    if requirement ~= '' then add(requirement) end
    if has_tenants then
      for _, tenant in ipairs(redis.call('ZRANGE', turns_of(queue, requirement), 0, -1)) do
        add(tenant .. '/' .. requirement)
      end
    end
  end
  for _, places in ipairs(held) do
    for held_queue, lane in string.gmatch(places, '([^\n]*)\n([^\n]*)\n') do
      if held_queue == queue then add(lane) end
    end
  end
  return lists
end

local function look_at_oldest(list)
  local ids = redis.call('LRANGE', list, -MOST_PASSED, -1)
  for i = #ids, 1, -1 do
    local task = redis.call('HMGET', ARGV[1] .. ids[i], 'state', 'submitted', 'history')
    if task[1] == 'queued' then
      local since = tonumber(task[2] or string.match(task[3] or '', '^%d+'))
      if since and (not oldest or since < oldest) then oldest = since end
      return
    end
  end
end

local answer = {}
for priority = 1, 3 do
  answer[priority] = 0
  for _, list in ipairs(lists_of(KEYS[priority])) do
    local length = redis.call('LLEN', list)
    answer[priority] = answer[priority] + length
    if length > 0 then look_at_oldest(list) end
  end
end
for place = 4, 6 do answer[place] = redis.call('ZCARD', KEYS[place]) end
answer[7] = oldest and string.format('%.0f', oldest) or ''
return { answer, redis.call('HGETALL', KEYS[8]) }
