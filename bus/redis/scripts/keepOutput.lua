-- Keeps what a cancelled attempt had printed, for as long as the task itself.
--
-- KEYS[1] leases, which only says what slot it is
-- ARGV[1] key of the task   ARGV[2] key of its output   ARGV[3] fence   ARGV[4] output   ARGV[5] output truncated ('1' or '')
-- Returns 1, or 0 where the task was not cancelled in this attempt.

local task = redis.call('HMGET', ARGV[1], 'state', 'fence')
if task[1] ~= 'cancelled' or task[2] ~= ARGV[3] then return 0 end
redis.call('SET', ARGV[2], ARGV[4], 'EX', math.max(1, redis.call('TTL', ARGV[1])))
if ARGV[5] ~= '' then redis.call('HSET', ARGV[1], 'output_truncated', '1') end
return 1
