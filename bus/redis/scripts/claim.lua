-- Hands queued tasks to a dispatcher, as claiming.lua tells; may leave a claim standing that has not got all it asked for, as standing.lua tells.
--
-- KEYS[1..3] queues high, normal, low   KEYS[4] delayed   KEYS[5] leases   KEYS[6] requirements
-- ARGV[1] prefix of task keys   ARGV[2] limit   ARGV[3] lease ms   ARGV[4] nonce   ARGV[5] claimant
-- ARGV[6] bytes of arguments after which no further task is handed out
-- ARGV[7] version of the requirements that the claimant knows   ARGV[8] ms for which the claim may stand, '' for one that never does
-- ARGV[9] how many times it may be handed something then
-- ARGV[10] number of offers, then the credit of each, then
--         per lane: requirement, number of offers, indexes of offers (from 1)
-- Returns { promoted, claimed, groups, dependent, traced, stood, stands, more, requirements }: arguments that are large are nil;
--         stood: see `withdraw` in standing.lua; stands: 1 when this one does; more: 1 when it is cut, see claiming.lua; 2 when a tenant has
--         more waiting than it may run; else 0;
--         requirements = { version, requirement, ... }, only when the version is another one.

local prefix = ARGV[1]
local time = redis.call('TIME')
local shard = { queues = { KEYS[1], KEYS[2], KEYS[3] }, delayed = KEYS[4], leases = KEYS[5], requirements = KEYS[6] }
local wanted = {
  claimant = ARGV[5], nonce = ARGV[4], limit = tonumber(ARGV[2]), bytes = tonumber(ARGV[6]), lease = tonumber(ARGV[3]), credits = {}, lanes = {},
}
local at = 11 + tonumber(ARGV[10])
for i = 11, at - 1 do wanted.credits[i - 10] = tonumber(ARGV[i]) end
while at <= #ARGV do
  local offers, count = {}, tonumber(ARGV[at + 1])
  for i = 1, count do offers[i] = tonumber(ARGV[at + 1 + i]) end
  wanted.lanes[#wanted.lanes + 1] = { ARGV[at], offers }
  at = at + 2 + count
end

local given = claim_tasks(prefix, shard, wanted, time)
keep_usage(prefix, time)

local version = given.version
local stood, stands = '', 0
if ARGV[8] ~= '' then
  stood = withdraw(prefix, wanted.claimant)
  -- Of requirements that it does not know it could not be handed anything; one that is cut is followed by another.
  if version == ARGV[7] and not given.is_cut then stands = stand(prefix, wanted, tonumber(ARGV[8]), tonumber(ARGV[9]), time) end
end

local more = given.is_cut and 1 or holds_back(prefix, version) and 2 or 0
local answer = { given.promoted, given.claimed, given.groups, given.dependent, given.traced, stood, stands, more }
if version == ARGV[7] then return answer end
local requirements = { version }
local known = redis.call('HKEYS', KEYS[6])
for i = 1, #known do
  if known[i] ~= '' then requirements[#requirements + 1] = known[i] end
end
answer[9] = requirements
return answer
