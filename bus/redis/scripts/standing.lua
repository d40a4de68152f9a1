-- Put behind claiming.lua. A claim that has not got all it asked for may stand: the next tasks that are submitted are handed over to it in the
-- very step that accepts them, and told on the claimant's channel `handed:<claimant>`. So an idle dispatcher has a new task after one way
-- through Redis, not after an event, a claim and its answer.
--
-- It stands until it has got all it asked for, has been handed something so many times, a later claim of the claimant takes its place, its
-- time is over, or nobody listens. Where several dispatchers have claims that stand it is handed something once, so that they take turns. A hash
-- of the shard has it by claimant, packed; its nonce is another one each time, see nonce.ts.

-- More travels better as the answer to a claim: Redis cuts off a listener that has too much outstanding.
local MOST_BYTES = 262144

local function standing_in(prefix)
  return (string.gsub(prefix, 'task:$', 'standing'))
end

-- Returns the nonce under which the claimant's claim that stood until now would have got something, or ''.
local function withdraw(prefix, claimant)
  local claim = redis.call('HGET', standing_in(prefix), claimant)
  if not claim then return '' end
  redis.call('HDEL', standing_in(prefix), claimant)
  return cmsgpack.unpack(claim).nonce
end

local function wants_more(wanted)
  if wanted.limit <= 0 or wanted.bytes <= 0 then return false end
  for _, credit in ipairs(wanted.credits) do
    if credit > 0 then return true end
  end
  return false
end

-- What is left of a claim stands for so long, to be handed something so many times; 0 when nothing is left.
local function stand(prefix, wanted, ms, times, time)
  if ms <= 0 or not wants_more(wanted) then return 0 end
  wanted.claim, wanted.nonce, wanted.bytes = wanted.nonce .. '+', wanted.nonce .. '+', math.min(wanted.bytes, MOST_BYTES)
  wanted.time, wanted.times = 0, times
  wanted.stands_until = time[1] * 1000 + math.floor(time[2] / 1000) + ms
  redis.call('HSET', standing_in(prefix), wanted.claimant, cmsgpack.pack(wanted))
  return 1
end

-- It has been handed something. Returns 1 when it stands on for the rest.
local function stand_on(standing, wanted, is_alone)
  wanted.time = wanted.time + 1
  wanted.nonce = wanted.claim .. wanted.time
  if not is_alone or wanted.time >= wanted.times or not wants_more(wanted) then
    redis.call('HDEL', standing, wanted.claimant)
    return 0
  end
  redis.call('HSET', standing, wanted.claimant, cmsgpack.pack(wanted))
  return 1
end

-- { nonce, whether the claim stands on (1), promoted, claimed, groups, dependent, traced } as JSON, claimed with the length of the arguments
-- (-1: large) in their place; a line's end, and the arguments.
local function hand_over_text(nonce, stands_on, given)
  local claimed, arguments = given.claimed, {}
  for i = 3, #claimed, 6 do
    local bytes = claimed[i]
    claimed[i] = bytes and #bytes or -1
    if bytes then arguments[#arguments + 1] = bytes end
  end
  return cjson.encode({ nonce, stands_on, given.promoted, claimed, given.groups, given.dependent, given.traced }) .. '\n' .. table.concat(arguments)
end

-- Gives what waits to the claims that stand, and returns how many tasks they got: no more than `most` are looked for. 0 when a claim was
-- cut, whatever it got: what it has not come to waits, and somebody is to be told.
local function hand_over(prefix, shard, time, most)
  local standing = standing_in(prefix)
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local claims, handed, is_cut = redis.call('HGETALL', standing), 0, false
  for i = 1, #claims, 2 do
    local channel, wanted = 'handed:' .. claims[i], cmsgpack.unpack(claims[i + 1])
    if now > wanted.stands_until or redis.call('PUBSUB', 'NUMSUB', channel)[2] == 0 then
      redis.call('HDEL', standing, claims[i])
    elseif handed < most and not is_cut then
      local nonce, given = wanted.nonce, claim_tasks(prefix, shard, wanted, time)
      is_cut = given.is_cut
      if #given.claimed + #given.promoted > 0 then
        local stands_on = stand_on(standing, wanted, #claims == 2)
        redis.call('PUBLISH', channel, hand_over_text(nonce, stands_on, given))
        handed = handed + #given.claimed / 6
      end
    end
  end
  return is_cut and 0 or handed
end
