/** What a page downloads: bundled, minified and compressed as its server would do it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { expect, test } from "vitest";

// Not in the system's folder for such things: from there, `millrace` would not be found.
const here = fileURLToPath(new URL(".", import.meta.url));

async function gzippedBytes(code: string): Promise<number> {
  const folder = await mkdtemp(join(here, ".bundle-"));
  try {
    const input = join(folder, "entry.js");
    await writeFile(input, code);
    const { output } = (await build({
      ...{ configFile: false, logLevel: "silent", root: folder },
      build: {
        ...{ write: false, target: "es2022", modulePreload: false },
        rolldownOptions: { input, preserveEntrySignatures: "strict", output: { format: "es" } },
      },
    })) as Rolldown.RolldownOutput;
    expect(output).toHaveLength(1);
    return gzipSync((output[0] as Rolldown.OutputChunk).code, { level: 9 }).length;
  } finally {
    await rm(folder, { recursive: true });
  }
}

test.each([
  ["the parser", 1_000, 'export { createParser } from "millrace/protocol";'],
  ["connect, with everything but tabs that share", 7_000, 'export { connect } from "millrace/client";'],
  ["EventSource", 3_000, 'export { EventSource } from "millrace/client";'],
  ["PollingClient", 1_500, 'export { PollingClient } from "millrace/client";'],
])("%s: at most %d bytes", async (what, most, code) => {
  const bytes = await gzippedBytes(code);
  console.log(`${what}: ${bytes} bytes`);
  expect(bytes).toBeLessThanOrEqual(most);
});
