// Runs a benchmark by its name: npm run bench -- NAME [OPTIONS]. Without a name it lists what there is, and runs fan-out.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const folder = import.meta.dirname;
const names = fs
  .readdirSync(folder)
  .filter((file) => file.endsWith(".mjs") && file !== "index.mjs")
  .map((file) => path.parse(file).name)
  .sort();
/** What is measured in one file with something else. */
const parts = { latency: ["publish", "--only", "latency"] };
/** The first line of a benchmark's file says what it measures. */
const purpose = (name) => /^\/\/ (.*)/.exec(fs.readFileSync(path.join(folder, `${name}.mjs`), "utf8"))?.[1] ?? "";
const width = Math.max(...names.map((name) => name.length));
const line = (name, text) => `  ${name.padEnd(width)}  ${text}\n`;
const list = () =>
  [
    ...names.map((name) => line(name, purpose(name))),
    ...Object.entries(parts).map(([name, args]) => line(name, `${args.join(" ")}, alone`)),
  ].join("");

const [given = "", ...rest] = process.argv.slice(2);
const named = given !== "" && !given.startsWith("-");
if (!named) process.stderr.write(`npm run bench -- NAME [OPTIONS], of\n${list()}`);
else if (!names.includes(given) && !(given in parts)) {
  process.stderr.write(`There is no benchmark "${given}"; there are\n${list()}`);
  process.exit(2);
}
if (given === "--help") process.stderr.write("npm run bench -- NAME --help shows what one can be told.\n");
if (given === "--help" || given === "--list") process.exit();
const [name, ...args] = named ? [...(parts[given] ?? [given]), ...rest] : ["fanout", ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, [path.join(folder, `${name}.mjs`), ...args], { stdio: "inherit" });
process.exit(status ?? 1);
