-- Put before scripts that know of dependencies: where they lie, all beside the tasks that they are of.

local function dependents_key(prefix, id)
  return string.gsub(prefix, 'task:$', 'dependents:') .. id
end

local function unmet_key(prefix, id)
  return string.gsub(prefix, 'task:$', 'unmet:') .. id
end

-- A space and the tasks that wait for this one, or ''. Taken: whoever is told resolves them, and what is lost on the way the monitor
-- finds.
local function take_dependents(prefix, id, after)
  if not after or string.sub(after, -1) ~= '+' then return '' end
  local key = dependents_key(prefix, id)
  local ids = table.concat(redis.call('SMEMBERS', key))
  redis.call('UNLINK', key)
  return ids == '' and '' or ' ' .. ids
end
