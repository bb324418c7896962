// What each candidate reads after one of its files was damaged while it was closed.
import fs from "node:fs";
import path from "node:path";
import { runChild, verify } from "./faults.mjs";

/** Damages the largest file of a log of 20,000 events, then reads it again. */
export async function damaged(name, dir, seed) {
  const kinds = {
    "last 7 bytes cut off": (file, size) => fs.truncateSync(file, size - 7),
    "cut in half": (file, size) => fs.truncateSync(file, Math.floor(size / 2)),
    "last 4 KiB zeroed": (file, size) => overwrite(file, size - 4096, Buffer.alloc(4096)),
  };
  for (let i = 1; i <= 5; i++) {
    const share = ((seed * 2654435761 + i * 40503) % 65521) / 65521;
    kinds[`one byte flipped, ${i}`] = (file, size) => {
      const at = Math.floor(share * size);
      const byte = fs.readFileSync(file).subarray(at, at + 1);
      overwrite(file, at, Buffer.from([byte[0] ^ 0x55]));
    };
  }
  const rows = {};
  for (const [label, damage] of Object.entries(kinds)) {
    fs.rmSync(dir, { recursive: true, force: true });
    fs.mkdirSync(dir);
    await runChild(["fill", name, dir, "20000"]);
    const files = fs.readdirSync(dir).map((file) => path.join(dir, file));
    const largest = files.reduce((a, b) => (fs.statSync(a).size >= fs.statSync(b).size ? a : b));
    damage(largest, fs.statSync(largest).size);
    rows[label] = await verify(name, dir, 20_000);
  }
  return rows;
}

function overwrite(file, at, bytes) {
  const fd = fs.openSync(file, "r+");
  fs.writeSync(fd, bytes, 0, bytes.length, at);
  fs.closeSync(fd);
}
