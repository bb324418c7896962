import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const library = fileURLToPath(new URL("packages/millrace/src", import.meta.url));

export default defineConfig({
  test: {
    passWithNoTests: false,
    projects: [
      {
        // The hub's tests meet the library's sources, not what was last built of them. For `millrace/log/disk` too.
        resolve: {
          alias: [
            { find: /^millrace$/, replacement: `${library}/index.ts` },
            { find: /^millrace\/(?!package\.json$)(.+)$/, replacement: `${library}/$1/index.ts` },
          ],
        },
        test: {
          name: "unit",
          include: ["packages/*/test/**/*.test.ts"],
          testTimeout: 15_000,
          hookTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Whole programs: hubs, browsers, proxies. One file at a time, since they measure time and share two cores.
        test: {
          name: "e2e",
          include: ["e2e/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
