import fs from "node:fs";

/** How many files this process may have open, each connection one of them; undefined where it cannot be told. */
export function descriptorLimit(): number | undefined {
  try {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"));
    return line?.[1] === "unlimited" ? Infinity : line ? Number(line[1]) : undefined;
  } catch {
    return undefined;
  }
}
