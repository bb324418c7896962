import { existsSync, readFileSync } from "node:fs";

export interface InterfaceBytes {
  received: number;
  sent: number;
}

/**
 * What each network interface has carried since it came up, by name; `null` where the system does not tell (anything
 * but Linux).
 *
 * Loopback is left out: it never leaves the machine, and would show every byte twice, as received and as sent. Where
 * there are interfaces with hardware (or a hypervisor's) behind them only those count, because bridges, tunnels and
 * bonds carry the same bytes again; inside a container there are none, and all count.
 */
export function readInterfaces(): Map<string, InterfaceBytes> | null {
  let table: string;
  try {
    table = readFileSync("/proc/net/dev", "utf8");
  } catch {
    return null;
  }
  const all = parseInterfaces(table);
  all.delete("lo");
  const real = [...all].filter(([name]) => existsSync(`/sys/class/net/${name}/device`));
  return real.length > 0 ? new Map(real) : all;
}

/** Parses the table of `/proc/net/dev` (proc_net(5)): two lines of headings, then `name: 8 received, 8 sent figures`. */
export function parseInterfaces(table: string): Map<string, InterfaceBytes> {
  const found = new Map<string, InterfaceBytes>();
  for (const line of table.split("\n")) {
    // An alias such as `eth0:1` has a colon of its own; and old kernels leave no space after the last one.
    const match = /^\s*(\S+):\s*(\d[\d\s]*)$/.exec(line);
    if (match === null) continue;
    const [, name = "", figures = ""] = match;
    const columns = figures.trim().split(/\s+/).map(Number);
    const [received, sent] = [columns[0], columns[8]];
    if (received !== undefined && sent !== undefined) found.set(name, { received, sent });
  }
  return found;
}

/**
 * Bytes carried between two readings. By interface, not by sum: one that vanished would make the sum fall, and one
 * that was moved in from elsewhere brings a history that is no traffic of now.
 */
export function bytesBetween(before: Map<string, InterfaceBytes>, after: Map<string, InterfaceBytes>): InterfaceBytes {
  const carried = { received: 0, sent: 0 };
  for (const [name, now] of after) {
    const then = before.get(name);
    if (then === undefined) continue;
    carried.received += Math.max(0, now.received - then.received);
    carried.sent += Math.max(0, now.sent - then.sent);
  }
  return carried;
}
