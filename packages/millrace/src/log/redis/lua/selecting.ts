/** What the scripts have in common that read a selection. */
export const selecting = `
local function bounds(prefix)
  if prefix == '' then return '-', '+' end
  return '('..prefix, '('..string.sub(prefix, 1, -2)..'0'
end
-- The channels of a selection that have had something behind a sequence. Further arguments: exact names, then prefixes.
local function selected(at, after)
  local found = {}
  local function look(names)
    for from = 1, #names, 1000 do
      local part = {}
      for i = from, math.min(from + 999, #names) do part[#part + 1] = names[i] end
      local packed = call('HMGET', CHANNELS, unpack(part))
      for i = 1, #part do
        if packed[i] then
          local c = read(packed[i])
          c.name = part[i]
          if c.last > after or c.unknown > after then found[#found + 1] = c end
        end
      end
    end
  end
  local exact = {}
  for i = 1, tonumber(ARGV[at]) do exact[i] = ARGV[at + i] end
  look(exact)
  local from = at + #exact + 1
  for i = 1, tonumber(ARGV[from]) do
    local prefix = ARGV[from + i]
    local low, high = bounds(prefix)
    local names = {}
    if call('ZCOUNT', TAILS, '('..int(after), '+inf') < call('ZLEXCOUNT', NAMES, low, high) then
      for _, name in ipairs(call('ZRANGEBYSCORE', TAILS, '('..int(after), '+inf')) do
        if #name > #prefix and string.sub(name, 1, #prefix) == prefix and string.sub(name, 1, 1) ~= '@' then
          names[#names + 1] = name
        end
      end
    else names = call('ZRANGEBYLEX', NAMES, low, high) end
    look(names)
  end
  return found, exact
end
local function count(at) return tonumber(ARGV[at]) end
-- Whether a selection has so many channels that it costs less to go through the entries of all, and that can be done.
local function isWide(at, after)
  local exact = count(at)
  local from = at + exact + 1
  local width = 0
  for i = 1, exact do if ARGV[at + i] == '@runs' then return false end end
  for i = 1, count(from) do
    local low, high = bounds(ARGV[from + i])
    width = width + call('ZLEXCOUNT', NAMES, low, high)
  end
  if count(from) == 0 or width < tonumber(ARGV[#ARGV]) then return false end
  local begin = call('XRANGE', ORDER, '-', '+', 'COUNT', 1)[1]
  if not begin then return false end
  if seqOf(begin) <= after + 1 then return true end
  local oldest = call('ZRANGE', FIRST, 0, 0, 'WITHSCORES')
  return oldest[2] == nil or tonumber(oldest[2]) >= seqOf(begin)
end
local function holder(at)
  local names = {}
  for i = 1, count(at) do names[ARGV[at + i]] = true end
  local from = at + count(at) + 1
  local prefixes = {}
  for i = 1, count(from) do prefixes[i] = ARGV[from + i] end
  return function(name)
    if names[name] then return true end
    if string.sub(name, 1, 1) == '@' then return false end
    for i = 1, #prefixes do
      if #name > #prefixes[i] and string.sub(name, 1, #prefixes[i]) == prefixes[i] then return true end
    end
    return false
  end
end
local function heapify(heap, less)
  local function sink(i)
    local top = heap[i]
    while true do
      local child = i * 2
      if child > #heap then break end
      if child < #heap and less(heap[child + 1], heap[child]) then child = child + 1 end
      if not less(heap[child], top) then break end
      heap[i] = heap[child]
      i = child
    end
    heap[i] = top
  end
  for i = math.floor(#heap / 2), 1, -1 do sink(i) end
  return sink
end
`;
