// Figures to text, and what each candidate brings into node_modules.
import fs from "node:fs";
import path from "node:path";

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

const short = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(2));

/** `median (min–max)` */
export const spread = (values) =>
  `${short(median(values))} (${short(Math.min(...values))}–${short(Math.max(...values))})`;

export function printTable(title, header, rows) {
  console.log(`\n### ${title}\n`);
  console.log(`| ${header.join(" | ")} |\n|${header.map(() => "---|").join("")}`);
  for (const row of rows) console.log(`| ${row.join(" | ")} |`);
}

const MODULES = path.join(import.meta.dirname, "node_modules");

/** The package and everything that it pulls in, as installed on this platform. */
function closure(name, found = new Set()) {
  const manifest = path.join(MODULES, name, "package.json");
  if (found.has(name) || !fs.existsSync(manifest)) return found;
  found.add(name);
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(fs.readFileSync(manifest, "utf8"));
  for (const next of Object.keys({ ...dependencies, ...optionalDependencies })) closure(next, found);
  return found;
}

const lineCount = (file) => fs.readFileSync(path.join(import.meta.dirname, file), "utf8").split("\n").length - 1;

const PARTS = {
  lmdb: { own: ["lmdb.mjs"], dependency: "lmdb" },
  "lmdb-async": { own: ["lmdb.mjs"], dependency: "lmdb" },
  level: { own: ["level.mjs"], dependency: "classic-level" },
  segments: { own: ["segments.mjs", "frames.mjs"] },
};

export async function footprint(candidate) {
  const { own, dependency } = PARTS[candidate];
  const packages = dependency ? [...closure(dependency)] : [];
  let [bytes, native] = [0, 0];
  for (const installed of packages) {
    for (const entry of fs.readdirSync(path.join(MODULES, installed), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      bytes += fs.statSync(path.join(entry.parentPath ?? entry.path, entry.name)).size;
      if (entry.name.endsWith(".node")) native++;
    }
  }
  return {
    "packages installed": String(packages.length),
    "MiB installed": (bytes / 2 ** 20).toFixed(1),
    "native binaries (.node)": String(native),
    "lines of our adapter in this spike": String(own.reduce((sum, file) => sum + lineCount(file), 0)),
  };
}
