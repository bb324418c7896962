/*
 * What runs inside Redis, one script after the other: so all nodes see one order. Under the prefix there are
 *
 *   log          hash: seq, epoch, epochs (JSON), run, safe, drops, entries, bytes, spared, fthrough, fat
 *   s:<channel>  stream: the entries, by their sequence; the newest are kept
 *   channels     hash: what is known of each channel, packed (see `load`)
 *   names        zset without scores: for a prefix, the channels that it holds
 *   tails        zset: the newest sequence of each channel
 *   first, old   zset: the oldest retained sequence of each channel, and when it will be too old
 *   empty        zset: when a channel without entries may be forgotten
 *   gone, goneAt zset: up to where each channel was dropped, and how many drops there had been by then
 *   order        stream: the channel of each entry, or of the first of some on one channel; for reads of many channels
 *   k:<channel>  zset: the newest sequence of each key, for conflation
 *   i:<key>      an idempotency key with what it made, expires
 *   a:<node>     the last append of a node, so that its repeat after a lost answer adds nothing, expires
 *
 * and Pub/Sub channels c:<channel>, p:<channel> for those that begin with "@", and e, which tells of a new epoch.
 */

/** What all scripts begin with. */
export const common = `
local P = KEYS[1]
local LOG, CHANNELS, NAMES, TAILS = P..'log', P..'channels', P..'names', P..'tails'
local FIRST, OLD, EMPTY, GONE, GONE_AT, ORDER = P..'first', P..'old', P..'empty', P..'gone', P..'goneAt', P..'order'
local call, fmt = redis.call, string.format
local pack, unpack_ = struct.pack, struct.unpack

local function int(n) return fmt('%d', n) end
local function score(n) if n == math.huge then return '+inf' end return fmt('%.17g', n) end
local function nowMs() local t = call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end

local metaFields = {'seq', 'drops', 'entries', 'bytes', 'spared', 'fthrough', 'fat', 'epoch'}
local function loadMeta()
  local v = call('HMGET', LOG, unpack(metaFields))
  local m = {}
  for i = 1, 7 do m[metaFields[i]] = tonumber(v[i] or 0) end
  m.epoch = v[8]
  return m
end
local function saveMeta(m)
  local args = {}
  for i = 1, 7 do args[2 * i - 1] = metaFields[i] args[2 * i] = int(m[metaFields[i]]) end
  call('HSET', LOG, unpack(args))
end
local function figures(m) return {m.seq, m.drops, call('HLEN', CHANNELS), m.entries, m.bytes, m.fthrough, m.fat} end

local shape = '<dddddddddddddddd'
local function read(packed)
  local c = {}
  c.last, c.dropped, c.droppedAt, c.unknown, c.n, c.count, c.cum, c.bytes, c.keyed, c.keyedPrev, c.missed, c.missedAt,
    c.age, c.memory, c.spared, c.first = unpack_(shape, packed)
  return c
end
local function write(c)
  return pack(shape, c.last, c.dropped, c.droppedAt, c.unknown, c.n, c.count, c.cum, c.bytes, c.keyed, c.keyedPrev,
    c.missed, c.missedAt, c.age, c.memory, c.spared, c.first)
end
local known = {}
local function load(name)
  local c = known[name]
  if c == nil then
    local packed = call('HGET', CHANNELS, name)
    c = packed and read(packed) or false
    if c then c.name = name end
    known[name] = c
  end
  return c
end
local function isConnection(name) return string.sub(name, 1, 12) == '@connection/' end
local function forgottenOf(m, name)
  if name == '@all' or isConnection(name) then return 0 end
  return m.fthrough
end
local function create(m, name)
  local c = {name = name, last = 0, dropped = 0, droppedAt = 0, unknown = forgottenOf(m, name), n = 0, count = 0, cum = 0,
    bytes = 0, keyed = 0, keyedPrev = 0, missed = 0, missedAt = 0, age = math.huge, memory = math.huge, spared = 0, first = 0,
    new = true}
  known[name] = c
  return c
end
local function seqOf(entry) return tonumber(string.match(entry[1], '^%d+')) end
local function parse(entry)
  local value = entry[2][2]
  local prev, n, cum, time, flags, keyLen = unpack_('<ddddBI2', value)
  return {seq = seqOf(entry), prev = prev, n = n, cum = cum, time = time, value = value}
end
local function oldest(key)
  local found = call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  return found and parse(found)
end

-- The entries before 'first' (nil: all) are gone from the stream: writes down what that means.
local function cut(m, c, first, now)
  local count, bytes, through = 0, 0, c.last
  if first then
    count = c.n - first.n + 1
    bytes = c.cum - first.cum + #first.value
    through = first.prev
  end
  local gone = c.count - count
  if gone <= 0 then return end
  m.drops = m.drops + gone
  m.entries = m.entries - gone
  m.bytes = m.bytes - (c.bytes - bytes)
  if c.spared == 1 then m.spared = m.spared - (c.bytes - bytes) end
  if c.keyed > 0 then
    local missed = 0
    if c.dropped < c.keyedPrev then missed = math.min(through, c.keyedPrev) end
    if through >= c.keyed then
      local top = call('ZREVRANGEBYSCORE', P..'k:'..c.name, score(through), '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
      if top[2] then
        missed = math.max(missed, tonumber(top[2]))
        call('ZREMRANGEBYSCORE', P..'k:'..c.name, '-inf', score(through))
      end
    end
    if missed > c.missed then c.missed = missed c.missedAt = m.drops end
  end
  c.dropped, c.droppedAt, c.count, c.bytes = through, m.drops, count, bytes
  call('ZADD', GONE, int(through), c.name)
  call('ZADD', GONE_AT, int(m.drops), c.name)
  c.moved, c.cut = true, true
  if first then c.first = first.seq c.time = first.time
  else
    call('DEL', P..'s:'..c.name)
    c.first = 0
    c.emptied = now
  end
end
-- Drops from the front for as long as 'isOver' says so of an entry.
local function shrink(m, c, isOver, now)
  local key = P..'s:'..c.name
  local from = '-'
  while c.count > 0 do
    local found = call('XRANGE', key, from, '+', 'COUNT', 32)
    if #found == 0 then cut(m, c, nil, now) return end
    for i = 1, #found do
      local e = parse(found[i])
      if not isOver(e) then
        if e.prev >= c.first then
          call('XTRIM', key, 'MINID', '=', found[i][1])
          cut(m, c, e, now)
        end
        return
      end
      from = '('..found[i][1]
    end
  end
end
local function keepBounds(m, c, events, bytes, now)
  if c.count > events then
    local key = P..'s:'..c.name
    call('XTRIM', key, 'MAXLEN', '=', int(events))
    cut(m, c, oldest(key), now)
  end
  if c.bytes > bytes and c.count > 1 then
    shrink(m, c, function(e) return e.seq < c.last and c.cum - e.cum + #e.value > bytes end, now)
  end
end
-- What all the channels keep in all: the oldest goes first, whatever its channel.
local function keepTotal(m, total, now)
  while m.bytes - m.spared > total do
    local two = call('ZRANGE', FIRST, 0, 1, 'WITHSCORES')
    if not two[1] then return end
    local c = load(two[1])
    local until_ = math.min(tonumber(two[4] or math.huge), m.seq)
    local excess = m.bytes - m.spared - total
    local cumBefore = c.cum - c.bytes
    shrink(m, c, function(e) return e.seq < until_ and e.cum - #e.value - cumBefore < excess end, now)
    if not c.cut then return end
    c.cut = false
    c.notice = true
    if c.count > 0 then call('ZADD', FIRST, int(c.first), c.name)
    else call('ZREM', FIRST, c.name) end
  end
end
local function save(c)
  local name = c.name
  call('HSET', CHANNELS, name, write(c))
  if c.moved then
    if c.count > 0 then
      if c.spared == 0 then call('ZADD', FIRST, int(c.first), name) end
      if c.age < math.huge then call('ZADD', OLD, score(c.time + c.age), name) else call('ZREM', OLD, name) end
    else
      call('ZREM', FIRST, name)
      call('ZREM', OLD, name)
      if name ~= '@all' and c.memory < math.huge then call('ZADD', EMPTY, score(c.emptied + c.memory), name) end
    end
  end
end
local function topic(name)
  if string.sub(name, 1, 1) == '@' then return P..'p:'..name end
  return P..'c:'..name
end
local function head(m, c) return pack('<ddddd', c.dropped, c.droppedAt, c.keyed > 0 and c.missed or c.dropped,
  c.keyed > 0 and c.missedAt or c.droppedAt, m.drops) end
`;
