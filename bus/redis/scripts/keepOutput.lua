-- Keeps what a cancelled attempt had printed, for as long as the task itself.
--
-- KEYS[1] leases, which only says what slot it is
-- ARGV[1] key of the task   ARGV[2] key of its output   ARGV[3] fence   ARGV[4] output   ARGV[5] output truncated ('1' or '')
-- Returns 1, or 0 where the task was not cancelled in this attempt.

local task = redis.call('HMGET', ARGV[1], 'state', 'fence', 'needs')
if task[1] ~= 'cancelled' or task[2] ~= ARGV[3] then return 0 end
local tenant = tenant_of(task[3])
local prefix, id = string.match(ARGV[1], '^(.*:)([^:]*)$')
local most = tenant and most_retained(prefix, tenant) or 0
local before = most > 0 and entry_of(prefix, id)
local ended_us = before and redis.call('ZSCORE', (retained_keys(prefix, tenant)), before)
redis.call('SET', ARGV[2], ARGV[4], 'EX', math.max(1, redis.call('TTL', ARGV[1])))
if ARGV[5] ~= '' then redis.call('HSET', ARGV[1], 'output_truncated', '1') end
if ended_us then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  remove_retained(prefix, tenant, before)
  add_retained(prefix, tenant, id, entry_of(prefix, id), tonumber(ended_us), now)
  keep_under_cap(prefix, tenant, most, now, MOST_LET_GO)
  keep_usage(prefix, time)
end
return 1
