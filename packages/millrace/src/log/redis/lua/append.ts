import { valueHeadBytes } from "../layout.js";
import { common } from "./common.js";

/** How many channels are remembered in the order of the entries. What is further back costs a look at each channel. */
const maxOrder = 1_000_000;

/**
 * Appends. ARGV: epoch, node, attempt, keyAgeMs, totalBytes, channels, (name, events, bytes, ageMs, memoryMs, spared)…, jobs,
 * (key, digest, events, (channel and flags, key, block without id)…)…
 * Answers 'epoch' when another epoch is the present one; else the figures, and of each job its first and count, and
 * whether it is a repeat; -1: its key was used with another digest.
 */
export const append = `${common}
local m = loadMeta()
if m.epoch ~= ARGV[1] then return {'epoch'} end
local attemptKey = P..'a:'..ARGV[2]
local before = call('GET', attemptKey)
if before then
  local done = cmsgpack.unpack(before)
  if done[1] == ARGV[3] then return {'done', figures(m), done[2], done[3]} end
end
local now = nowMs()
local keyAge, total = tonumber(ARGV[4]), tonumber(ARGV[5])
local at = 6
local function take() local value = ARGV[at] at = at + 1 return value end
local channels = {}
for i = 1, tonumber(take()) do
  local name = take()
  channels[i] = {name = name, events = tonumber(take()), bytes = tonumber(take()), age = tonumber(take()),
    memory = tonumber(take()), spared = tonumber(take())}
end
local results, runs, touched = {}, {}, {}
local firstSeq = m.seq + 1
local idStart = 'id: '..m.epoch..'-'
for j = 1, tonumber(take()) do
  local key, digest, count = take(), take(), tonumber(take())
  local prior = key ~= '' and call('GET', P..'i:'..key)
  if prior then
    local k = cmsgpack.unpack(prior)
    if k[3] ~= digest then results[j] = {-1, 0, 0} else results[j] = {k[1], k[2], 1} end
    at = at + 3 * count
  else
    results[j] = {m.seq + 1, count, 0}
    for i = 1, count do
      local code, entryKey, rest = tonumber(take()), take(), take()
      local flags = code % 4
      local limits = channels[(code - flags) / 4]
      local c = limits.state
      if not c then
        c = load(limits.name) or create(m, limits.name)
        limits.state = c
        c.age, c.memory, c.spared = limits.age, limits.memory, limits.spared
        touched[#touched + 1] = limits
      end
      local seq = m.seq + 1
      m.seq = seq
      local text = int(seq)
      local size = ${valueHeadBytes} + #entryKey + #idStart + #text + 1 + #rest
      local value = pack('<ddddBI2', c.last, c.n + 1, c.cum + size, now, flags, #entryKey)..entryKey..idStart..text..'\\n'..rest
      call('XADD', P..'s:'..limits.name, text..'-0', 'e', value)
      if entryKey ~= '' then
        if c.keyed == 0 then
          c.keyed, c.keyedPrev, c.missed, c.missedAt = seq, c.last, c.dropped, c.droppedAt
        end
        call('ZADD', P..'k:'..limits.name, text, 'k'..entryKey)
      elseif c.keyed > 0 then call('ZADD', P..'k:'..limits.name, text, 'u'..text) end
      if c.count == 0 then
        c.first, c.time, c.moved = seq, now, true
        if not c.new then call('ZREM', EMPTY, limits.name) end
      end
      c.last, c.n, c.count, c.cum, c.bytes = seq, c.n + 1, c.count + 1, c.cum + size, c.bytes + size
      m.entries, m.bytes = m.entries + 1, m.bytes + size
      if c.spared == 1 then m.spared = m.spared + size end
      local run = runs[#runs]
      if not run or run.c ~= c then
        run = {c = c}
        runs[#runs + 1] = run
        call('XADD', ORDER, 'MAXLEN', '~', '${maxOrder}', text..'-0', 'c', limits.name)
      end
      run[#run + 1] = pack('<dI4', seq, size)
      run[#run + 1] = value
    end
    if key ~= '' then
      local made = cmsgpack.pack({results[j][1], count, digest})
      if keyAge < math.huge then call('SET', P..'i:'..key, made, 'PX', int(math.max(1, math.ceil(keyAge))))
      else call('SET', P..'i:'..key, made) end
    end
  end
end
for i = 1, #touched do
  local limits = touched[i]
  local c = limits.state
  keepBounds(m, c, limits.events, limits.bytes, now)
  c.cut = false
  if c.moved and c.count > 0 and c.spared == 0 then call('ZADD', FIRST, int(c.first), c.name) end
  call('ZADD', TAILS, int(c.last), c.name)
  if c.new and string.sub(c.name, 1, 1) ~= '@' then call('ZADD', NAMES, 0, c.name) end
end
keepTotal(m, total, now)
for i = 1, #touched do save(touched[i].state) touched[i].state.saved = true end
for name, c in pairs(known) do
  if c and not c.saved then save(c) end
end
for i = 1, #runs do call('PUBLISH', topic(runs[i].c.name), head(m, runs[i].c)..table.concat(runs[i])) end
for name, c in pairs(known) do
  if c and c.notice and not c.saved then call('PUBLISH', topic(name), head(m, c)) end
end
saveMeta(m)
call('SET', attemptKey, cmsgpack.pack({ARGV[3], m.seq, results}), 'PX', 600000)
return {'done', figures(m), m.seq, results}
`;
