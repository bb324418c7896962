import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { withDefaults } from "../../protocol/index.js";
import { Channels } from "../channels.js";
import { Epochs } from "../epochs.js";
import { Keys } from "../keys.js";
import { defaultRetention, type Log, type Retention, type RetentionPolicy } from "../log.js";
import { SequencedLog } from "../sequenced.js";
import { parseSegmentName } from "./files.js";
import { type Lock, lockStore } from "./lock.js";
import { Damage, recover } from "./recovery.js";
import { Segments } from "./segments.js";
import { DiskStorage, type Durability } from "./storage.js";

export type { Durability };

export interface DiskLogOptions {
  readonly retention?: Partial<Retention>;
  /**
   * What some channels keep instead: the first whose pattern holds a channel counts. A store that is opened with other
   * ones keeps from then on what those say; what was dropped before does not come back.
   */
  readonly policies?: readonly RetentionPolicy[];
  /** Default `process`. */
  readonly durability?: Durability;
  /** Memory for the newest entries, in bytes. Default 8 MiB. */
  readonly cacheBytes?: number;
  /** Told what an operator should know: a torn end that was cut, a damaged store that was set aside. Default: a process warning. */
  readonly onNotice?: (message: string) => void;
}

/**
 * Opens the log in a folder, which is made when it is missing. Every acknowledged entry survives the end of the
 * process, however it ends; with `durability: "power"` also that of the machine.
 *
 * The end of the store may be torn by a crash: it is cut. A store that is damaged otherwise is set aside whole, in a
 * folder within, and a new one begins: clients are told a gap.
 * @throws MillraceError `store_locked` when another process has it open, `store_newer` when this version cannot read it,
 * `store_full` when there is no room for a new one, `invalid_option` for a policy that is none
 */
export async function openDiskLog(folder: string, options: DiskLogOptions = {}): Promise<Log> {
  const { durability = "process", cacheBytes = 8 * 1024 * 1024, policies = [] } = options;
  const onNotice = options.onNotice ?? ((message) => process.emitWarning(message, "MillraceWarning"));
  const retention = withDefaults(defaultRetention, options.retention);
  fs.mkdirSync(folder, { recursive: true });
  const lock = await lockStore(folder);
  try {
    return openLocked(path.resolve(folder), lock, { retention, policies, durability, cacheBytes, onNotice });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function openLocked(
  folder: string,
  lock: Lock,
  {
    retention,
    policies,
    durability,
    cacheBytes,
    onNotice,
  }: Omit<Required<DiskLogOptions>, "retention"> & { retention: Retention },
): Log {
  const bootId = readBootId();
  const attempt = () => {
    const segments = new Segments();
    const channels = new Channels(retention, (sequence, bytes) => segments.release(sequence, bytes), policies);
    const keys = new Keys(retention.keyAgeMs);
    try {
      const { checkpoint, tail, torn, lost } = recover({ folder, bootId, segments, channels, keys });
      if (torn && torn.bytes > 0)
        onNotice(`an unfinished write of ${torn.bytes} bytes is cut from the end of the store ${folder}`);
      if (lost) onNotice(`the store ${folder} may lack its newest entries: clients are told`);
      const epochs = new Epochs(checkpoint?.epochs).begin(tail + 1, lost);
      const floor = checkpoint?.floor ?? 0;
      const storage = new DiskStorage({
        ...{ folder, bootId, durability, retention, lock, onNotice },
        ...{ segments, channels, epochs, isNew: checkpoint === undefined, floor, tail, torn },
      });
      return new SequencedLog({ storage, channels, keys, tail, cacheBytes });
    } catch (error) {
      segments.close();
      throw error;
    }
  };
  try {
    return attempt();
  } catch (error) {
    if (!(error instanceof Damage)) throw error;
    const aside = setAside(folder);
    onNotice(`the store ${folder} is damaged (${error.message}): it was set aside in ${aside}, and a new one begins`);
    return attempt();
  }
}

function setAside(folder: string): string {
  const aside = path.join(folder, `damaged-${new Date().toISOString().replace(/[:.]/g, "-")}`);
  fs.mkdirSync(aside);
  for (const name of fs.readdirSync(folder)) {
    if (parseSegmentName(name) || name === "checkpoint.json")
      fs.renameSync(path.join(folder, name), path.join(aside, name));
  }
  return aside;
}

/** Names this start of the machine. */
function readBootId(): string {
  try {
    return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return `since ${Math.round((Date.now() / 1000 - os.uptime()) / 60)}`;
  }
}
