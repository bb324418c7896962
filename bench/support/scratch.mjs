import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const folders = new Set();
process.on("exit", () => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});

/** A folder of its own, which is removed when this process ends: also when it is interrupted. */
export function scratch() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "millrace-bench-"));
  folders.add(folder);
  return folder;
}
