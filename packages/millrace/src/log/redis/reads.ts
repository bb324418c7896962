import type { Selection } from "../../protocol/index.js";
import type { Gap, ReadRequest } from "../log.js";
import { decodeValue, type LinkedEntry } from "./message.js";
import { scripts } from "./scripts.js";
import type { Session } from "./session.js";

/** What Redis has found for a reader. */
export interface FoundSlice {
  readonly entries: readonly LinkedEntry[];
  /** Where to read on. When nothing is left it is Redis' tail, which may be further than this node's. */
  readonly next: number;
  readonly gap: Gap | undefined;
}

/** @param wideChannels from so many channels on, a prefix is read by the order of all entries */
export async function readSlice(session: Session, request: ReadRequest, wideChannels: number): Promise<FoundSlice> {
  const { selection, after, limitBytes, knownDrops = -1, conflate = false } = request;
  const numbers = [after, limitBytes, knownDrops].map((number) => String(Math.min(number, Number.MAX_SAFE_INTEGER)));
  const args = [...numbers, conflate ? "1" : "0", ...argsOf(selection, wideChannels)];
  const answer = await session.query(scripts.read, args);
  const [, next, , gap, gone, flat] = answer as [unknown, unknown, unknown, unknown, unknown[], unknown[]];
  const entries: LinkedEntry[] = [];
  for (let at = 0; at < flat.length; at += 3) {
    entries.push(decodeValue(String(flat[at]), Number(flat[at + 1]), flat[at + 2] as Buffer));
  }
  return {
    entries,
    next: Number(next),
    gap: Number(gap) === 0 ? undefined : { may: Number(gap) === 1, channels: gone.map(String) },
  };
}

/** The sequence behind which the newest `count` entries of a selection lie. */
export async function findRewind(
  session: Session,
  selection: Selection,
  count: number,
  wideChannels: number,
): Promise<number> {
  const [, sequence] = (await session.query(scripts.rewind, [
    String(count),
    ...argsOf(selection, wideChannels),
  ])) as unknown[];
  return Number(sequence);
}

const argsOf = ({ exact, prefixes }: Selection, wideChannels: number): string[] => [
  ...[String(exact.length), ...exact, String(prefixes.length), ...prefixes, String(wideChannels)],
];
