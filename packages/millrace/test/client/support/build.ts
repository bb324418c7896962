import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const library = fileURLToPath(new URL("../../..", import.meta.url));
const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");

/** Runs the TypeScript compiler; its complaints are the error's message. */
export function compile(args: readonly string[], folder = library): void {
  try {
    execFileSync(process.execPath, [compiler, ...args], { cwd: folder, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${stdout}${stderr}`);
  }
}

/** Builds the client as it is published, from its sources as they are now, into a folder that the caller removes. */
export function buildClient(): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-client-"));
  const config = {
    extends: join(library, "tsconfig.json"),
    compilerOptions: {
      rootDir: join(library, "src"),
      outDir: folder,
      tsBuildInfoFile: join(folder, "tsconfig.tsbuildinfo"),
    },
    include: [join(library, "src/client"), join(library, "src/protocol")],
  };
  // In the library's folder, types would be found; elsewhere they must be pointed to.
  const typeRoots = [join(library, "../../node_modules/@types")];
  const file = join(folder, "tsconfig.json");
  writeFileSync(file, JSON.stringify({ ...config, compilerOptions: { ...config.compilerOptions, typeRoots } }));
  compile(["-p", file]);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  return folder;
}
