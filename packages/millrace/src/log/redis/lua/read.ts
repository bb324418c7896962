import { valueHeadBytes } from "../layout.js";
import { common } from "./common.js";
import { selecting } from "./selecting.js";

/**
 * Reads. ARGV: after, limitBytes, knownDrops, conflate, exact…, prefixes…, from how many channels on it is a wide selection.
 * Answers the figures, where to read on, whether that is the tail, the gap (0 none, 1 may, 2 sure) with its channels, and
 * channel, sequence and value of each entry.
 */
export const read = `${common}${selecting}
local m = loadMeta()
local after, limit, knownDrops = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local conflate = ARGV[4] == '1'
if not conflate and isWide(5, after) then
  local holds = holder(5)
  local gap, gone = 0, {}
  local key, low = GONE, after
  if knownDrops >= 0 then key, low = GONE_AT, knownDrops end
  local skip = 0
  repeat
    local names = call('ZREVRANGEBYSCORE', key, '+inf', '('..int(low), 'LIMIT', skip, 500)
    for i = 1, #names do
      if #gone < 100 and holds(names[i]) then
        local c = load(names[i])
        if c and c.dropped > after and c.droppedAt > knownDrops then gone[#gone + 1] = names[i] end
      end
    end
    skip = skip + #names
  until #names < 500 or #gone == 100
  table.sort(gone)
  if #gone > 0 then gap = 2
  elseif m.fthrough > after and m.fat > knownDrops then gap = 1 end
  local entries, bytes, last, looked = {}, 0, after, 0
  -- Takes what is there of a run of entries on one channel. False: there is no room for more.
  local function take(name, from, through)
    if not holds(name) then return true end
    repeat
      local list = call('XRANGE', P..'s:'..name, int(from), int(through), 'COUNT', 200)
      for i = 1, #list do
        local value = list[i][2][2]
        bytes = bytes + #value - ${valueHeadBytes}
        if bytes > limit and #entries > 0 then return false end
        last = seqOf(list[i])
        entries[#entries + 1] = name
        entries[#entries + 1] = last
        entries[#entries + 1] = value
      end
      from = last + 1
    until #list < 200
    return true
  end
  local before = call('XREVRANGE', ORDER, int(after), '-', 'COUNT', 1)[1]
  local run = before and {name = before[2][2], from = after + 1}
  local from = after
  while true do
    local list = call('XRANGE', ORDER, '('..int(from), '+', 'COUNT', 500)
    for i = 1, #list do
      local first = seqOf(list[i])
      if run and not take(run.name, run.from, first - 1) then return {figures(m), last, 0, gap, gone, entries} end
      run = {name = list[i][2][2], from = first}
      from = first
    end
    looked = looked + #list
    if #list < 500 then
      if run and not take(run.name, run.from, m.seq) then return {figures(m), last, 0, gap, gone, entries} end
      return {figures(m), math.max(m.seq, after), 1, gap, gone, entries}
    end
    -- So much is looked at in one go, for others wait.
    if looked >= 10000 then return {figures(m), math.max(last, run.from - 1), 0, gap, gone, entries} end
  end
end
local found, exact = selected(5, after)
local gap, gone = 0, {}
for i = 1, #found do
  local c = found[i]
  local dropped, droppedAt = c.dropped, c.droppedAt
  if conflate and c.keyed > 0 then dropped, droppedAt = c.missed, c.missedAt end
  if dropped > after and droppedAt > knownDrops and #gone < 100 then gone[#gone + 1] = c.name end
end
if #gone > 0 then gap = 2
elseif m.fthrough > after and m.fat > knownDrops then
  if tonumber(ARGV[5 + #exact + 1]) > 0 then gap = 1 end
  local byName = {}
  for i = 1, #found do byName[found[i].name] = found[i] end
  for i = 1, #exact do
    local name = exact[i]
    local c = byName[name]
    if c then
      if c.unknown > after then gap = 1 end
    elseif call('HEXISTS', CHANNELS, name) == 0 and forgottenOf(m, name) > after then gap = 1 end
    if gap == 1 then break end
  end
end
local heap = {}
local sources = 0
for i = 1, #found do if found[i].count > 0 and found[i].last > after then sources = sources + 1 end end
local share = math.max(1, math.min(500, math.ceil(limit / math.max(1, sources) / 150)))
local function fill(s)
  local key = P..'s:'..s.c.name
  s.at, s.list = 1, {}
  if not conflate or s.c.keyed == 0 or s.from < s.c.keyedPrev then
    local last = '+'
    if conflate and s.c.keyed > 0 then last = int(s.c.keyedPrev) end
    local list = call('XRANGE', key, '('..int(s.from), last, 'COUNT', share)
    for i = 1, #list do s.list[i] = parse(list[i]) end
    if #list < share and last ~= '+' then s.from = s.c.keyedPrev end
  end
  if #s.list == 0 and conflate and s.c.keyed > 0 then
    local seqs = call('ZRANGEBYSCORE', P..'k:'..s.c.name, '('..int(s.from), '+inf', 'WITHSCORES', 'LIMIT', 0, share)
    for i = 2, #seqs, 2 do
      local one = call('XRANGE', key, seqs[i], seqs[i], 'COUNT', 1)[1]
      if one then s.list[#s.list + 1] = parse(one) end
    end
  end
  local last = s.list[#s.list]
  if not last then return false end
  s.from = last.seq
  s.seq = s.list[1].seq
  return true
end
for i = 1, #found do
  if found[i].count > 0 and found[i].last > after then
    local s = {c = found[i], from = after}
    if fill(s) then heap[#heap + 1] = s end
  end
end
local sink = heapify(heap, function(a, b) return a.seq < b.seq end)
local entries, bytes, last, done = {}, 0, after, 1
while heap[1] do
  local s = heap[1]
  local e = s.list[s.at]
  -- What is read is bounded by what a reader is handed: the block, which is the value without its head and key.
  bytes = bytes + #e.value - ${valueHeadBytes}
  if bytes > limit and #entries > 0 then done = 0 break end
  entries[#entries + 1] = s.c.name
  entries[#entries + 1] = e.seq
  entries[#entries + 1] = e.value
  last = e.seq
  s.at = s.at + 1
  if s.list[s.at] then s.seq = s.list[s.at].seq
  elseif s.from >= s.c.last or not fill(s) then
    heap[1] = heap[#heap]
    heap[#heap] = nil
  end
  if heap[1] then sink(1) end
end
if done == 1 then last = math.max(m.seq, after) end
return {figures(m), last, done, gap, gone, entries}
`;
