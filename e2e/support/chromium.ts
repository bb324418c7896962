import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

declare module "vitest" {
  interface TaskMeta {
    /** Why a suite is skipped; the test run prints it at its end. */
    skipReason?: string;
  }
}

function findChromium(): string | undefined {
  const folders = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether this machine has a Chromium; the reason is empty when it has.
 *
 * @example
 * const browser = chromiumAvailable();
 * describe.skipIf(!browser.available)("in a browser", { meta: { skipReason: browser.reason } }, () => { … });
 */
export function chromiumAvailable(): { available: boolean; reason: string } {
  const available = findChromium() !== undefined;
  return { available, reason: available ? "" : "no Chromium on this machine (Debian: apt-get install chromium)" };
}

/**
 * Starts the system's Chromium without a window. `args` are added to its flags; those of `without`, which Playwright gives
 * it, are left out. The caller closes it.
 */
export async function launchChromium(args: string[] = [], without: string[] = []): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(chromiumAvailable().reason);
  const flags = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ];
  // Chromium refuses to run as root with its sandbox, and containers are root.
  if (process.getuid?.() === 0) flags.push("--no-sandbox");
  return chromium.launch({ executablePath, headless: true, args: [...flags, ...args], ignoreDefaultArgs: without });
}
