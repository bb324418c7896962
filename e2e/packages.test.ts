/** What a user gets from the registry: the packed tarballs, installed in an empty folder. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startHub } from "./support/hub.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const names = ["millrace", "millrace-hub"] as const;
type Name = (typeof names)[number];

// It exports its manifest only; its executable stands beside that.
const attw = join(
  fileURLToPath(new URL(".", import.meta.resolve("@arethetypeswrong/cli/package.json"))),
  "dist/index.js",
);

const execute = promisify(execFile);

/** Runs a command to its end; an error holds both of its outputs. */
async function run(command: string, args: string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await execute(command, args, { cwd, env: ownEnvironment(), maxBuffer: 16 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as Error & { stdout?: string; stderr?: string };
    throw new Error([message, stdout, stderr].join("\n"));
  }
}

/** Without what an outer `npm test` sets: it would make an inner npm work in the repository. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = ["npm_config_cache", "npm_config_registry", "npm_config_userconfig"];
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|INIT_CWD$)/i.test(name) || kept.includes(name)),
  );
}

interface Packed {
  name: Name;
  tarball: string;
  files: string[];
}

interface Manifest {
  type: string;
  exports: Record<string, unknown>;
  peerDependencies?: Record<string, string>;
}

let folder: string;
let packed: Map<string, Packed>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-packages-"));
  const workspaces = names.flatMap((name) => ["--workspace", name]);
  const output = await run("npm", ["pack", "--json", "--pack-destination", folder, ...workspaces], root);
  // One object per package, in an array or, by newer versions of npm, under their names.
  type Listed = { name: Name; filename: string; files: { path: string }[] };
  const listed: Listed[] = Object.values(JSON.parse(output) as Listed[] | Record<string, Listed>);
  packed = new Map(
    listed.map(({ name, filename, files }) => [
      name,
      { name, tarball: join(folder, filename), files: files.map(({ path }) => path) },
    ]),
  );
});

afterAll(async () => {
  if (folder) await rm(folder, { recursive: true, force: true });
});

function packedAs(name: Name): Packed {
  const found = packed.get(name);
  if (!found) throw new Error(`npm pack made no tarball of ${name}`);
  return found;
}

describe.each(names)("the tarball of %s", (name) => {
  test("holds the compiled files and no sources, tests or build information", () => {
    const { files } = packedAs(name);
    expect(files).toContain("package.json");
    expect(files.filter((file) => file.startsWith("dist/") && file.endsWith(".js"))).not.toEqual([]);
    expect(files.filter((file) => /^(src|test)\/|\.tsbuildinfo$|\.test\.|(?<!\.d)\.tsx?$/.test(file))).toEqual([]);
  });

  test("is what publint finds good", async () => {
    const { tarball } = packedAs(name);
    const bytes = await readFile(tarball);
    const { messages, pkg } = await publint({
      pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) },
      strict: true,
    });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  test("has the right types for every way to import it", async () => {
    const options = ["--profile", "esm-only", "--format", "ascii", "--no-color"];
    await run(process.execPath, [attw, packedAs(name).tarball, ...options], root);
  });
});

describe("installed in an empty folder", () => {
  let project: string;

  beforeAll(async () => {
    project = await mkdtemp(join(folder, "project-"));
    await writeFile(join(project, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
    const tarballs = names.map((name) => packedAs(name).tarball);
    await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...tarballs], project);
  });

  async function manifest(name: Name): Promise<Manifest> {
    return JSON.parse(await readFile(join(project, "node_modules", name, "package.json"), "utf8")) as Manifest;
  }

  test("the root exports createHub", async () => {
    const code = 'import { createHub } from "millrace"; console.log(typeof createHub)';
    expect(await run(process.execPath, ["--input-type=module", "--eval", code], project)).toBe("function\n");
  });

  test("millrace alone brings no other package", async () => {
    const tree = JSON.parse(await run("npm", ["ls", "millrace", "--all", "--json"], project)) as {
      dependencies: Record<string, { dependencies?: Record<string, unknown> }>;
    };
    expect(tree.dependencies.millrace?.dependencies ?? {}).toEqual({});
  });

  test("with its optional peers, every export path of millrace can be imported, and exports something", async () => {
    const { exports, peerDependencies = {} } = await manifest("millrace");
    const peers = Object.entries(peerDependencies).map(([name, range]) => `${name}@${range}`);
    await run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--prefer-offline", ...peers], project);
    const paths = Object.keys(exports).filter((path) => path !== "./package.json");
    expect(paths).toContain(".");
    const specifiers = paths.map((path) => path.replace(/^\./, "millrace"));
    // The last line tells that importing starts nothing that keeps the process alive: it has to come, and the process to end.
    await writeFile(
      join(project, "import.js"),
      `const counts = {};
       for (const specifier of ${JSON.stringify(specifiers)}) {
         counts[specifier] = Object.keys(await import(specifier)).length;
       }
       console.log(JSON.stringify(counts));`,
    );
    const counts = JSON.parse(await run(process.execPath, ["import.js"], project)) as Record<string, number>;
    expect(Object.keys(counts)).toEqual(specifiers);
    expect(Object.entries(counts).filter(([, count]) => count === 0)).toEqual([]);
  });

  test("npx millrace-hub --help tells the commands", async () => {
    const help = await run("npx", ["--no-install", "millrace-hub", "--help"], project);
    for (const word of ["serve", "demo", "publish", "subscribe", "--port", "--store"]) expect(help).toContain(word);
  });

  test("millrace-hub serve answers /health and ends on SIGTERM", async () => {
    const bin = join(project, "node_modules/millrace-hub/bin/millrace-hub.js");
    await using hub = await startHub(["--store", "memory"], { cwd: project, bin });
    expect((await fetch(`${hub.url}/health`)).status).toBe(200);
    hub.kill("SIGTERM");
    expect(await hub.exited).toEqual({ code: 0, signal: null });
  });
});
