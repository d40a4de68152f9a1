-- Sets the limits of a tenant in a shard, and lets it go on where it was held back; brings what tenants keep up to date.
--
-- KEYS[1] limits
-- ARGV[1] prefix of task keys   ARGV[2] tenant, '' for all that have none of their own, then pairs: field, most ('' removes it)

local time = redis.call('TIME')
for i = 3, #ARGV, 2 do
  local name = ARGV[2] .. '/' .. ARGV[i]
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], name) else redis.call('HSET', KEYS[1], name, ARGV[i + 1]) end
end
for _, tenant in ipairs(redis.call('HKEYS', (string.gsub(ARGV[1], 'task:$', 'held')))) do
  if ARGV[2] == '' or tenant == ARGV[2] then let_go(ARGV[1], tenant, time) end
end
for _, name in ipairs(redis.call('HKEYS', (string.gsub(ARGV[1], 'task:$', 'usage')))) do
  local tenant = string.match(name, '^(.*)/retained$')
  local most = tenant and most_retained(ARGV[1], tenant)
  if most == 0 then
    redis.call('UNLINK', retained_keys(ARGV[1], tenant))
    redis.call('HDEL', (string.gsub(ARGV[1], 'task:$', 'usage')), name)
  elseif most then
    keep_under_cap(ARGV[1], tenant, most, time[1] * 1000 + math.floor(time[2] / 1000), MOST_LET_GO)
  end
end
keep_usage(ARGV[1], time)
return 1
