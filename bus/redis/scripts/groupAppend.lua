-- Adds task ids to a group. The group is a hash: total = number of ids, closed, <base> = one addition: the second it was made in
-- (10 digits) and its ids of 36 characters each, and once:<text> = base of the addition that was made under this text.
--
-- KEYS[1] group
-- ARGV[1] ids, joined   ARGV[2] number of ids   ARGV[3] seconds to keep the group   ARGV[4] '1' closes the group
-- ARGV[5] text under which this addition is made at most once, or ''
-- Returns the position of its first id.

local count = tonumber(ARGV[2])
local base
if ARGV[5] ~= '' then
  base = tonumber(redis.call('HGET', KEYS[1], 'once:' .. ARGV[5]))
end
if not base then
  base = redis.call('HINCRBY', KEYS[1], 'total', count) - count
  if count > 0 then
    redis.call('HSET', KEYS[1], base, string.format('%010d', redis.call('TIME')[1]) .. ARGV[1])
  end
  if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'once:' .. ARGV[5], base) end
end
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'closed', '1') end
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return base
