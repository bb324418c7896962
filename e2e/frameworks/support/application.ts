import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { type Command, runCommand } from "../../support/command.js";
import { examples, startExample } from "../../support/example.js";

const folderOf = (name: string): string => join(examples, name);

/** Does what the example's head tells to do before `npm start`. What is installed is kept until its lock file changes. */
export async function prepare(name: string): Promise<void> {
  const folder = folderOf(name);
  const installed = join(folder, "node_modules/.installed");
  const hash = createHash("sha256")
    .update(await readFile(join(folder, "package-lock.json")))
    .digest("hex");
  if ((await readFile(installed, "utf8").catch(() => "")) !== hash) {
    await npm(folder, "ci", "--include=dev", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error");
    await writeFile(installed, hash);
  }
  if ((await scriptsOf(folder)).build !== undefined) await npm(folder, "run", "build");
}

/** `--prefix`, because an outer `npm test` leaves variables that make an inner one work in the repository. */
async function npm(folder: string, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await runCommand("npm", [...args, "--prefix", folder], { cwd: folder, env });
  if (code !== 0) throw new Error(`npm ${args.join(" ")} in ${folder}:\n${stdout}${stderr}`);
}

/** As in production, where a test run would have said otherwise. */
const env = { NODE_ENV: "production", NEXT_TELEMETRY_DISABLED: "1" };

async function scriptsOf(folder: string): Promise<{ start: string; build?: string }> {
  return JSON.parse(await readFile(join(folder, "package.json"), "utf8")).scripts;
}

/** Starts an application on a free port, without npm in between, which would have the signals. */
export async function start(name: string): Promise<{ command: Command; url: string }> {
  const folder = folderOf(name);
  const [file = "", ...args] = (await scriptsOf(folder)).start.split(" ");
  const PATH = [join(folder, "node_modules/.bin"), process.env.PATH].join(delimiter);
  return startExample(file, args, { ...env, PATH, PORT: "0" }, folder);
}
