/**
 * The rooms of the library and who may import whom, checked on the sources. A new room: a line in `rooms`.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type Import, scan } from "./support/imports.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const library = join(root, "packages/millrace");
const hubPackage = join(root, "packages/millrace-hub");

interface Room {
  /** Other rooms that it may import from; what those import is not implied. */
  rooms: readonly string[];
  /** What it may import from Node: `node:…` names, or `*`. */
  node: readonly string[];
  /** Optional peers of the package that it may import from. */
  peers?: readonly string[];
  /** No global that only browsers or only Node have. */
  pure?: boolean;
}

const anyNode = ["*"];
const everythingButHttp = [
  ...["async_hooks", "buffer", "crypto", "diagnostics_channel", "events", "fs", "fs/promises", "os", "path"],
  ...["perf_hooks", "process", "stream", "timers", "timers/promises", "url", "util", "worker_threads", "zlib"],
].map((name) => `node:${name}`);

/** A folder of src is a room; `log` is the contract and what all drivers share, each driver is a room of its own. */
const rooms: Record<string, Room> = {
  protocol: { rooms: [], node: [], pure: true },
  client: { rooms: ["protocol"], node: [] },
  // What react and vue have in common.
  screen: { rooms: ["protocol", "client"], node: [] },
  react: { rooms: ["protocol", "client", "screen"], node: [], peers: ["react"] },
  vue: { rooms: ["protocol", "client", "screen"], node: [], peers: ["vue"] },
  log: { rooms: ["protocol"], node: everythingButHttp },
  // What users import as millrace/log: the contract and the driver that needs nothing.
  "log/index": { rooms: ["protocol", "log", "log/memory"], node: [] },
  "log/memory": { rooms: ["protocol", "log"], node: everythingButHttp },
  "log/disk": { rooms: ["protocol", "log"], node: [...everythingButHttp, "node:net"] },
  "log/redis": { rooms: ["protocol", "log"], node: everythingButHttp },
  sink: { rooms: ["protocol"], node: anyNode },
  hub: { rooms: ["protocol", "log", "sink"], node: everythingButHttp },
  stream: { rooms: ["protocol", "sink"], node: [] },
  http: { rooms: ["protocol", "log", "sink", "hub", "stream"], node: anyNode },
  jwt: { rooms: ["protocol", "http"], node: ["node:crypto"], peers: ["jose"] },
  sources: { rooms: ["protocol"], node: ["node:fs", "node:os", "node:perf_hooks"] },
  // For the tests of users: it may import anything, and nothing imports it.
  testing: { rooms: ["*"], node: anyNode },
  // The files of src itself: index.ts composes the default log, the hub and HTTP.
  root: {
    rooms: ["protocol", "log", "log/index", "log/memory", "log/disk", "sink", "hub", "stream", "http"],
    node: anyNode,
  },
};

/** What a file reaches when it is loaded, over any number of files; type-only imports are not followed. */
const mustNotReach: { from: string; room: RegExp; because: string }[] = [
  { from: "hub", room: /^http$/, because: "the hub knows no HTTP" },
  { from: "hub", room: /^log\//, because: "the hub knows the Log contract, no driver; the root composes them" },
  { from: "jwt", room: /^(?!protocol$)/, because: "who verifies tokens needs no hub: the types of http are enough" },
  { from: "log", room: /^log\//, because: "whoever imports the Log contract would load its drivers" },
];

/** Words that are globals of browsers or of Node, and rarely names of anything else. */
const impureGlobals = [
  ...[
    "window",
    "document",
    "navigator",
    "localStorage",
    "sessionStorage",
    "XMLHttpRequest",
    "EventSource",
    "WebSocket",
  ],
  ...["Buffer", "process", "global", "require", "__dirname", "__filename", "setImmediate", "clearImmediate"],
  ...["setTimeout", "setInterval", "clearTimeout", "clearInterval", "fetch", "NodeJS"],
];

interface SourceFile {
  /** Relative to the folder of sources, with slashes. */
  name: string;
  room: string;
  imports: (Import & { target: string | undefined })[];
  code: string;
}

/** The room of a file; of nested rooms the innermost. `log/memory.ts` and `log/memory/…` are both of `log/memory`. */
function roomOf(name: string): string {
  const folder = posix.dirname(name);
  if (folder === ".") return "root";
  const candidates = [posix.join(folder, posix.basename(name).replace(/\.tsx?$/, ""))];
  for (let path = folder; path !== "."; path = posix.dirname(path)) candidates.push(path);
  return candidates.find((path) => path in rooms) ?? (folder.split("/")[0] as string);
}

function sourcesOf(folder: string): SourceFile[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  return files.sort().map((file) => {
    const { imports, code } = scan(readFileSync(file, "utf8"));
    const name = slashes(relative(folder, file));
    return { name, room: roomOf(name), imports: imports.map((found) => ({ ...found, target: target(found) })), code };

    function target({ specifier }: Import): string | undefined {
      if (!specifier.startsWith(".")) return undefined;
      const path = resolve(dirname(file), specifier);
      const source = [path.replace(/\.js$/, ".ts"), path.replace(/\.js$/, ".tsx"), path].find(existsSync);
      return slashes(relative(folder, source ?? path));
    }
  });
}

function slashes(path: string): string {
  return path.replaceAll("\\", "/");
}

/** All circles of a graph, each once, as the names on it. */
function circles(graph: Map<string, Iterable<string>>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string) => {
    const from = path.indexOf(node);
    if (from >= 0) found.push([...path.slice(from), node]);
    if (from >= 0 || done.has(node)) return;
    path.push(node);
    for (const next of graph.get(node) ?? []) visit(next);
    path.pop();
    done.add(node);
  };
  for (const node of graph.keys()) visit(node);
  return found;
}

const files = sourcesOf(join(library, "src"));
const byName = new Map(files.map((file) => [file.name, file]));
const hubFiles = sourcesOf(join(hubPackage, "src"));
const filesIn = (room: string) => files.filter((file) => file.room === room);
const at = (folder: string, file: SourceFile, line: number) =>
  `${slashes(relative(root, folder))}/${file.name}:${line}`;
const inLibrary = (file: SourceFile, line: number) => at(join(library, "src"), file, line);
const inHub = (file: SourceFile, line: number) => at(join(hubPackage, "src"), file, line);

/** The assertion of every rule: no complaint; the failure shows all of them. */
function expectNone(complaints: string[]): void {
  if (complaints.length > 0) expect.fail(complaints.join("\n"));
}

function allows(list: readonly string[], name: string): boolean {
  return list.includes("*") || list.includes(name);
}

test("the library has sources, and each of its folders is a room of the table", () => {
  expect(files.length).toBeGreaterThan(0);
  const unknown = files.filter(({ room }) => !(room in rooms));
  expectNone(
    unknown.map((file) => `${inLibrary(file, 1)} is in "${file.room}", which is no room; add it to the table of rooms`),
  );
});

test("each room of the table has files: a rule about nothing would hold of anything", () => {
  const empty = Object.keys(rooms).filter((room) => filesIn(room).length === 0);
  expectNone(empty.map((room) => `no file of src is in the room "${room}"`));
});

test("every relative import leads to a file", () => {
  const complaints = files.flatMap((file) =>
    file.imports
      .filter(({ target }) => target !== undefined && !byName.has(target))
      .map(
        ({ specifier, line }) => `${inLibrary(file, line)} imports "${specifier}", and there is no such file in src`,
      ),
  );
  expectNone(complaints);
});

describe("a room imports only what it may", () => {
  test.each(Object.entries(rooms))("%s", (room, may) => {
    const complaints: string[] = [];
    for (const file of filesIn(room)) {
      for (const { specifier, line, target, typeOnly } of file.imports) {
        const where = `${inLibrary(file, line)} imports "${specifier}"`;
        const other = target && byName.get(target)?.room;
        if (other !== undefined) {
          // The types of the contract may be taken from where users take them; that loads no driver.
          if (other === room || (other === "log/index" && typeOnly && allows(may.rooms, "log"))) continue;
          if (!allows(may.rooms, other)) {
            complaints.push(`${where}: ${room} may import ${may.rooms.join(", ") || "no other room"}, not ${other}`);
          }
        } else if (specifier.startsWith("node:")) {
          if (!allows(may.node, specifier)) complaints.push(`${where}: ${room} may not use ${specifier}`);
        } else if (!specifier.startsWith(".") && !may.peers?.includes(specifier)) {
          complaints.push(`${where}: millrace has no dependencies, and ${room} may not import this package`);
        }
      }
    }
    expectNone(complaints);
  });
});

describe("what loading a room must not load", () => {
  test.each(mustNotReach)("$from: $because", ({ from, room, because }) => {
    const complaints: string[] = [];
    for (const start of filesIn(from)) {
      const via = new Map<string, string[]>([[start.name, [start.name]]]);
      for (const [name, path] of via) {
        const file = byName.get(name);
        if (file !== undefined && file.room !== from && room.test(file.room)) {
          complaints.push(`${path.join(" → ")}: ${because}`);
          continue;
        }
        for (const { target, typeOnly } of file?.imports ?? []) {
          if (target !== undefined && !typeOnly && !via.has(target)) via.set(target, [...path, target]);
        }
      }
    }
    expectNone(complaints);
  });
});

describe("no circles", () => {
  // Type-only imports count: two files that need each other's types are one thing in two places.
  test("between files", () => {
    const graph = new Map(files.map((file) => [file.name, file.imports.flatMap(({ target }) => target ?? [])]));
    expectNone(circles(graph).map((circle) => `circle of imports: ${circle.join(" → ")}`));
  });

  test("between rooms", () => {
    const graph = new Map<string, Set<string>>();
    for (const { room, imports } of files) {
      const others = graph.get(room) ?? new Set();
      for (const { target } of imports) {
        const other = target && byName.get(target)?.room;
        if (other !== undefined && other !== room) others.add(other);
      }
      graph.set(room, others);
    }
    expectNone(circles(graph).map((circle) => `circle of rooms: ${circle.join(" → ")}`));
  });
});

describe("pure rooms use no global of a browser or of Node", () => {
  const pure = Object.keys(rooms).filter((room) => rooms[room]?.pure);
  test.each(pure)("%s", (room) => {
    // Not `a.process`, `process:` or `process?:`, which are members of that name.
    const word = new RegExp(`(?<![.\\w$])(?:${impureGlobals.join("|")})\\b(?!\\s*\\??:)`, "g");
    const complaints = filesIn(room).flatMap((file) =>
      [...file.code.matchAll(word)].map((match) => {
        const line = file.code.slice(0, match.index).split("\n").length;
        return `${inLibrary(file, line)} uses the global ${match[0]}: ${room} must run anywhere`;
      }),
    );
    expectNone(complaints);
  });
});

describe("packages", () => {
  interface Manifest {
    dependencies?: Record<string, string>;
    exports: Record<string, string>;
  }
  const manifest = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

  test("millrace has no run-time dependencies", () => {
    expect(manifest(library).dependencies ?? {}).toEqual({});
  });

  test("one folder, one import path: each export of millrace is the index of a folder", () => {
    const complaints = Object.entries(manifest(library).exports)
      .filter(([path]) => path !== "./package.json")
      .filter(([path, file]) => file !== posix.join("dist", path, "index.js").replace(/^/, "./"))
      .map(
        ([path, file]) =>
          `packages/millrace/package.json exports "${path}" as "${file}", not as the index of its folder`,
      );
    expectNone(complaints);
  });

  // npm leaves out, without a word, platforms that its registry did not have at that moment; `npm ci` then refuses the
  // lock file everywhere, while an existing node_modules goes on working.
  test("package-lock.json is complete for every platform", () => {
    type Locked = { optionalDependencies?: Record<string, string> };
    const lock: { packages: Record<string, Locked> } = JSON.parse(
      readFileSync(join(root, "package-lock.json"), "utf8"),
    );
    const complaints = Object.entries(lock.packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.entries(optionalDependencies)
        .filter(
          ([name]) => !(`node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages),
        )
        .map(([name, range]) => `package-lock.json lacks ${name}@${range}, an optional dependency of ${path}`),
    );
    expectNone(complaints);
  });

  test("the hub package imports millrace by its public paths only", () => {
    const exported = Object.keys(manifest(library).exports).map((path) => posix.join("millrace", path));
    const complaints = hubFiles.flatMap((file) =>
      file.imports.flatMap(({ specifier, line, target }) => {
        const where = `${inHub(file, line)} imports "${specifier}"`;
        if (target?.startsWith("../")) return `${where}: that is outside of the package's src`;
        if (!/^millrace(\/|$)/.test(specifier)) return [];
        return exported.includes(specifier) ? [] : `${where}: millrace does not export this path`;
      }),
    );
    expectNone(complaints);
  });

  test("the hub package imports only what it declares", () => {
    const declared = Object.keys(manifest(hubPackage).dependencies ?? {});
    const complaints = hubFiles.flatMap((file) =>
      file.imports
        .filter(({ specifier }) => !/^(\.|node:)/.test(specifier))
        .filter(({ specifier }) => !declared.some((name) => specifier === name || specifier.startsWith(`${name}/`)))
        .map(({ specifier, line }) => `${inHub(file, line)} imports "${specifier}", which is not in its dependencies`),
    );
    expectNone(complaints);
  });
});

describe("the scanner of imports", () => {
  test.each<[string, string[]]>([
    ['import a from "x"', ["x"]],
    ["import { a,\n  b as c } from './x.js';", ["./x.js"]],
    ['import a, { b } from "x"; import d, * as c from "y"', ["x", "y"]],
    ['import*as a from"x";import{b}from"y"', ["x", "y"]],
    ['import "x"', ["x"]],
    ['export * from "x"; export * as y from "y"; export { z } from "z"', ["x", "y", "z"]],
    ['import type { A } from "x"; export type { B } from "y"; import type C from "z"', ["type x", "type y", "type z"]],
    ['import { type A } from "x"; import type, { b } from "y"; import type from "z"', ["x", "y", "z"]],
    ['const a = await import("x"); const b = require("y"); const c = import.meta.resolve("z")', ["x", "y", "z"]],
    ['export interface A { x: number }\nimport type { B } from "y"', ["type y"]],
    ['// import a from "x"\n/* import b from "y" */ const s = \'import c from "z"\'', []],
    [`const s = \`import a from "x" \${f(\`\${{ a: 1 }}\`)} import b from 'y'\`; import "z"`, ["z"]],
    ["const r = /[/\"]'`/; import 'x'", ["x"]],
    ['const half = a / b; import "x"; const other = c / d', ["x"]],
    ['const s = "a\\"b"; import "x"', ["x"]],
    ['a.import("x"); from("y"); export const from = "z"', []],
  ])("%j", (source, expected) => {
    const found = scan(source).imports.map(({ specifier, typeOnly }) => (typeOnly ? `type ${specifier}` : specifier));
    expect(found.sort()).toEqual([...expected].sort());
  });

  test("tells lines, and blanks what is no code", () => {
    const { imports, code } = scan(`/* process\n*/ const a = "Buffer" // window\nimport "x";\n\`\${document} fetch\``);
    expect(imports).toEqual([{ specifier: "x", line: 3, typeOnly: false }]);
    expect(code.match(/\w{5,}/g)).toEqual(["const", "import", "document"]);
  });
});
