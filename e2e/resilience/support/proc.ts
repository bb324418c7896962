import { readdirSync, readFileSync } from "node:fs";

const mebibyte = 1024 * 1024;
/** The unit of times in /proc/PID/stat: fixed for programs, whatever the kernel counts in. */
const tickMs = 10;

/** Memory of a process that is no file's, in MiB: what it has asked for and touched. */
export function anonymousMemory(pid: number): number {
  const kibibytes = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status tells no RssAnon`);
  return (Number(kibibytes) * 1024) / mebibyte;
}

/** Open descriptors of a process. */
export function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Processor time that a process has used, in all its threads, in milliseconds. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickMs; // utime and stime
}

/** How many files this process may have open. */
export function descriptorLimit(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
  return limit === undefined ? Infinity : Number(limit);
}

/** Watches the memory of a process; answers with the most that it had. */
export function watchMemory(pid: number): { most(): number; stop(): void } {
  let most = anonymousMemory(pid);
  const look = () => {
    most = Math.max(most, anonymousMemory(pid));
  };
  const timer = setInterval(look, 20);
  return {
    most: () => {
      look();
      return most;
    },
    stop: () => clearInterval(timer),
  };
}
