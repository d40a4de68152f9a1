-- Put before scripts that need it. What happens to most tasks (submitted, claimed, completed) is told by the fields `submitted`,
-- `claim` and `ran`, see taskRecord.ts; `history` has a line for each step of attempts that did not end the task, and costs the
-- others nothing.

local function attempt_of(fence, attempt)
  return tonumber(fence and string.match(fence, '^%d+') or attempt or 0)
end

-- The history, with the attempt that is over and what ended it.
local function story(history, claim, attempt, line)
  local lines = history and history .. '\n' or ''
  if claim then
    lines = lines .. string.match(claim, '^%d+') .. ' task.claimed running attempt ' .. attempt .. '\n'
  end
  return lines .. line
end
