-- Put before scripts that end tasks. Few tasks have the field `after`: seconds for which the finished task is kept, where they are
-- its own, and a `+` when other tasks depend on it.

local function seconds_kept(after, usual)
  return after and string.match(after, '^%d+') or usual
end
