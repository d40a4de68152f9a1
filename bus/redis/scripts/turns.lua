-- Put before claim.lua: tenants take turns within a priority. Only where there are tenants.
--
-- What a tenant has been given is counted, its pass; the waiting tenant with the least is next, whichever requirement its tasks have. One
-- that begins to wait does so at the pass of the one last served: it is next but for those that wait there already, has nothing to
-- make up for, and cannot save turns either.
--
-- `<queue>/turns[:<requirement>]`  sorted set of tenants that have tasks waiting there, by a pass that may be too low by now
-- `<queue>/passes`                 sorted set of tenants by pass, those alone that are ahead of '/', the pass of the one last served;
--                                  '' has the tasks that lie in the plain lists
--
-- @param left answers how many tasks may still be given   @param serve gives tasks of a list, see claim.lua
-- @param may_serve whether the lane's workers have room
-- Returns false where no tenant waits, having given nothing.
local function serve_in_turns(queue, lanes, left, serve, may_serve, prefix)
  local open, waiting = {}, 0
  for _, lane in ipairs(lanes) do
    if may_serve(lane) then
      local place = { lane = lane, turns = turns_of(queue, lane.requirement), has_plain = true }
      waiting = waiting + redis.call('ZCARD', place.turns)
      open[#open + 1] = place
    end
  end
  if waiting == 0 then return false end

  local passes_key = queue .. '/passes'
  local last = tonumber(redis.call('ZSCORE', passes_key, '/') or 0)
  local passes = {}
  local function pass_of(tenant)
    if not passes[tenant] then passes[tenant] = tonumber(redis.call('ZSCORE', passes_key, tenant) or 0) end
    return math.max(passes[tenant], last)
  end
  local function look(place)
    local first = redis.call('ZRANGE', place.turns, 0, 0, 'WITHSCORES')
    place.tenant, place.pass = first[1], tonumber(first[2])
  end
  for _, place in ipairs(open) do look(place) end

  -- At once as many as it would get one by one, while there is something for everybody.
  local share = math.max(1, math.floor(left() / (waiting + #open)))
  local given = {}
  while left() > 0 do
    local chosen, tenant, pass
    for at, place in ipairs(open) do
      if place.has_plain and (not pass or pass_of('') < pass) then chosen, tenant, pass = at, '', pass_of('') end
      if place.tenant and (not pass or place.pass < pass) then chosen, tenant, pass = at, place.tenant, place.pass end
    end
    if not chosen then break end
    local place = open[chosen]
    local lane = place.lane
    local list = tenant == '' and queue .. lane.suffix or queue .. ':' .. tenant .. '/' .. lane.requirement
    local room = tenant ~= '' and room_for(prefix, tenant, 'running')
    if room and room <= 0 then
      -- It runs as many as it may, and waits for one of them to end.
      local held = string.gsub(prefix, 'task:$', 'held')
      local lines = queue .. '\n' .. tenant .. '/' .. lane.requirement .. '\n'
      local before = redis.call('HGET', held, tenant) or ''
      -- Once: what it submits meanwhile puts it back among the waiting. Nor for nothing: its last one may just have been given.
      if not string.find('\n' .. before, '\n' .. lines, 1, true) and redis.call('EXISTS', list) == 1 then
        redis.call('HSET', held, tenant, before .. lines)
      end
      redis.call('ZREM', place.turns, tenant)
      look(place)
    elseif tenant ~= '' and pass_of(tenant) > pass then
      -- It was given something elsewhere meanwhile.
      redis.call('ZADD', place.turns, pass_of(tenant), tenant)
      look(place)
    else
      local _, taken, is_empty = serve(lane, list, math.min(share, left(), room or share), tenant ~= '' and tenant)
      if taken > 0 then
        last = math.max(last, pass)
        passes[tenant] = pass + taken
        given[tenant] = true
      end
      if tenant == '' then
        if is_empty then place.has_plain = false end
      else
        if is_empty then redis.call('ZREM', place.turns, tenant) else redis.call('ZADD', place.turns, pass + taken, tenant) end
        look(place)
      end
      if not may_serve(lane) then table.remove(open, chosen) end
    end
  end

  if next(given) then
    local scores = { last, '/' }
    for tenant in pairs(given) do
      scores[#scores + 1] = passes[tenant]
      scores[#scores + 1] = tenant
    end
    redis.call('ZADD', passes_key, unpack(scores))
    redis.call('ZREMRANGEBYSCORE', passes_key, '-inf', string.format('(%.0f', last))
  end
  return true
end
