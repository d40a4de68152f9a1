-- Put before scripts that know of tenants. A task's field `needs` is its lane: a requirement, and before it `<tenant>/` where there is
-- something to tell apart or to count. It is false for most tasks, which are of the tenant `default`.

local function tenant_of(needs)
  return needs and string.match(needs, '^([^/]*)/')
end

-- Does the task exist for who asks, a tenant, or '' for who may see all?
local function is_visible(asker, needs)
  return asker == '' or asker == (tenant_of(needs) or 'default')
end

-- What goes into the index streams of this step, see taskIndex.ts: by whose they are, '' for `default`, '/' for all others together.
local indexed, index_names = {}, {}

local function index_of(whose)
  if not indexed[whose] then
    indexed[whose] = {}
    index_names[#index_names + 1] = whose
  end
  return indexed[whose]
end

-- Where a tenant's entries are gathered, and once more where it is not `default`.
local function indexes_of(tenant)
  if not tenant or tenant == 'default' then return index_of('') end
  return index_of(tenant), index_of('/')
end

-- One entry for all of a stream.
local function write_indexes(stream, most, separator)
  for _, whose in ipairs(index_names) do
    if #indexed[whose] > 0 then
      local name = whose == '' and stream or stream .. ':' .. whose
      redis.call('XADD', name, 'MAXLEN', '~', most, '*', 'ids', table.concat(indexed[whose], separator))
    end
  end
end
