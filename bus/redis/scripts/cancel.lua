-- Ends tasks that have not ended. Who runs one learns it by event, and at the latest when its fence is refused.
--
-- KEYS[1] delayed   KEYS[2] leases   KEYS[3] failures   KEYS[4] blocked
-- ARGV[1] prefix of task keys   ARGV[2] seconds a finished task is kept   ARGV[3] the tenant that asks, '' for all, then ids
-- Returns per task { verdict, state before, fence or '', '' or a space and the tasks that depend on it }; verdict is 'cancelled', 'terminal' or 'unknown'.

local prefix, ttl, asker = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now_text = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local verdicts = {}

for i = 4, #ARGV do
  local id = ARGV[i]
  local key = prefix .. id
  local task = redis.call('HMGET', key, 'state', 'fence', 'after', 'priority', 'needs')
  local state = task[1]
  if not state or not is_visible(asker, task[5]) then
    verdicts[#verdicts + 1] = { 'unknown', '', '' }
  elseif state == 'completed' or state == 'failed' or state == 'cancelled' then
    verdicts[#verdicts + 1] = { 'terminal', state, '' }
  else
    redis.call('HSET', key, 'state', 'cancelled', 'ended', now_text .. ' task.cancelled cancelled',
      'failure', '{"type":"Cancelled","message":"the task was cancelled"}')
    if state == 'running' then
      redis.call('ZREM', KEYS[2], id)
    elseif state == 'blocked' then
      redis.call('ZREM', KEYS[4], id)
      redis.call('DEL', unmet_key(prefix, id))
    elseif state == 'queued' then
      -- Its entry stays in the queue until its turn comes.
      tally('dead:' .. (task[4] or '2'), 1)
    else
      redis.call('ZREM', KEYS[1], id)
      if state == 'retrying' then tally('retrying', -1) end
    end
    redis.call('EXPIRE', key, seconds_kept(task[3], ttl))
    failed_as(id, 'Cancelled', task[5])
    moved(task[5], key, state, 'cancelled')
    verdicts[#verdicts + 1] = { 'cancelled', state, task[2] or '', take_dependents(prefix, id, task[3]) }
  end
end
index_failures(KEYS[3])
keep_counts(prefix)
keep_retained(prefix, time)
keep_usage(prefix, time)
return verdicts
