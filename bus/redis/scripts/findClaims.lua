-- Finds what claims took whose answer got lost. Looks at every lease, so it is asked only after a claim has failed.
--
-- KEYS[1] leases
-- ARGV[1] prefix of task keys, then nonces of claims
-- Returns { id, fence, ... }

local prefix = ARGV[1]
local lost, found = {}, {}
for i = 2, #ARGV do lost[ARGV[i]] = true end

local ids = redis.call('ZRANGE', KEYS[1], 0, -1)
for i = 1, #ids do
  local fence = redis.call('HGET', prefix .. ids[i], 'fence')
  if fence and lost[string.match(fence, ':(.*)$')] then
    found[#found + 1] = ids[i]
    found[#found + 1] = fence
  end
end
return found
