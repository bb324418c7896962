import { common } from "./common.js";

/** Sequences left out between two epochs: so no node is further than where the next one begins. */
const epochStep = 2 ** 20;

/**
 * Opens the log: begins an epoch when there is none, when Redis is another run than the one that wrote last, and when a
 * node knows more than Redis does. ARGV: run, name for a new epoch, the node's tail, whether nothing acknowledged can be
 * lost. Answers the figures, the epochs, and the present one.
 */
export const open = `${common}
local m = loadMeta()
local before = call('HMGET', LOG, 'run', 'safe', 'epochs')
local tail = tonumber(ARGV[3])
local epochs = before[3] and cjson.decode(before[3]) or {}
local present = epochs[#epochs]
if not present or before[1] ~= ARGV[1] or tail > m.seq then
  local first = 1
  if present or tail > 0 then first = math.max(m.seq, tail) + ${epochStep} end
  local lost = tail > m.seq or (present ~= nil and not (before[2] == '1' and ARGV[4] == '1'))
  if present then present.last = m.seq end
  if #epochs >= 1000 then table.remove(epochs, 1) end
  epochs[#epochs + 1] = {name = ARGV[2], first = first, afterLoss = lost}
  m.seq = first - 1
  m.epoch = ARGV[2]
  saveMeta(m)
  call('HSET', LOG, 'epoch', ARGV[2], 'epochs', cjson.encode(epochs), 'run', ARGV[1])
  call('PUBLISH', P..'e', ARGV[2])
end
if before[2] ~= ARGV[4] then call('HSET', LOG, 'safe', ARGV[4]) end
return {figures(m), cjson.encode(epochs), m.epoch}
`;
