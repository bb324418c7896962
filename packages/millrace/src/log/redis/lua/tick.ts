import { common } from "./common.js";

/**
 * Drops what is too old, and forgets channels. Answers the present epoch, the figures, and the channels that have had
 * something behind a sequence. ARGV: that sequence, how many channels at most, whether to drop.
 */
export const tick = `${common}
local m = loadMeta()
if ARGV[3] == '1' then
  local now = nowMs()
  local changed = false
  local old = call('ZRANGEBYSCORE', OLD, '-inf', int(now), 'LIMIT', 0, 100)
  -- A full Redis refuses a script's first write when it may need memory, but none behind one that needs none.
  if #old > 0 then call('DEL', P..'nothing') end
  for _, name in ipairs(old) do
    local c = load(name)
    if c then
      shrink(m, c, function(e) return e.time + c.age <= now end, now)
      if c.cut then
        changed = true
        save(c)
        call('PUBLISH', topic(name), head(m, c))
      end
    else call('ZREM', OLD, name) end
  end
  for _, name in ipairs(call('ZRANGEBYSCORE', EMPTY, '-inf', int(now), 'LIMIT', 0, 500)) do
    local c = load(name)
    call('HDEL', CHANNELS, name)
    call('ZREM', NAMES, name)
    call('ZREM', TAILS, name)
    call('ZREM', EMPTY, name)
    call('ZREM', GONE, name)
    call('ZREM', GONE_AT, name)
    call('DEL', P..'k:'..name)
    if c and not isConnection(name) then
      m.fthrough = math.max(m.fthrough, c.dropped, c.unknown)
      m.fat = math.max(m.fat, c.droppedAt)
      changed = true
    end
  end
  if changed then saveMeta(m) end
  local oldest = call('ZRANGE', FIRST, 0, 0, 'WITHSCORES')
  if oldest[2] then call('XTRIM', ORDER, 'MINID', '~', oldest[2]) end
end
local behind = {}
if tonumber(ARGV[2]) > 0 then
  behind = call('ZRANGEBYSCORE', TAILS, '('..ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
end
return {m.epoch or '', figures(m), behind}
`;
