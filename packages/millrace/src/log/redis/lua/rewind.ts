import { common } from "./common.js";
import { selecting } from "./selecting.js";

/**
 * Where the newest so many entries of a selection begin. ARGV: count, exact…, prefixes…, from how many channels on it is a
 * wide selection. Answers figures and sequence.
 */
export const rewind = `${common}${selecting}
local m = loadMeta()
local wanted = tonumber(ARGV[1])
if isWide(2, m.seq) then
  local holds = holder(2)
  local left, through, looked, before = wanted, m.seq, 0, '+'
  repeat
    local list = call('XREVRANGE', ORDER, before, '-', 'COUNT', 500)
    for i = 1, #list do
      local first = seqOf(list[i])
      local name = list[i][2][2]
      if holds(name) then
        local own = call('XREVRANGE', P..'s:'..name, int(through), int(first), 'COUNT', int(left))
        if #own == left then return {figures(m), seqOf(own[left]) - 1} end
        left = left - #own
      end
      through = first - 1
      before = '('..int(first)
    end
    looked = looked + #list
  until #list < 500 or looked >= 20000
end
local found = selected(2, 0)
local total = 0
for i = #found, 1, -1 do
  total = total + found[i].count
  if found[i].count == 0 then table.remove(found, i) end
end
if wanted >= total then return {figures(m), 0} end
-- By halves: each entry has its number within its channel, so that those behind a sequence are counted by one look.
local function behind(seq)
  local sum = 0
  for i = 1, #found do
    local c = found[i]
    if c.first > seq then sum = sum + c.count
    elseif c.last > seq then
      local at = call('XREVRANGE', P..'s:'..c.name, int(seq), '-', 'COUNT', 1)[1]
      sum = sum + c.n - parse(at).n
    end
    if sum >= wanted then return true end
  end
  return sum >= wanted
end
local low, high = 0, m.seq
while low < high do
  local middle = math.ceil((low + high) / 2)
  if behind(middle) then low = middle else high = middle - 1 end
end
return {figures(m), low}
`;
