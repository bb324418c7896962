// Installs what Millrace is measured beside: node bench/peers/install.mjs [NAME…]. Nothing else needs any of it.
//
// npm packages by this folder's own lock file; go-sse and hyperlane are built, where there is go or cargo; Nchan is taken
// from Debian's package without being installed (its nginx must be there). Mercure and Centrifugo are not in a registry
// that this could use: put their executables on the PATH. What cannot be had is said, and the run skips it.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { wrong } from "../support/options.mjs";
import { onPath } from "../support/process.mjs";
import { built } from "./built.mjs";

const here = import.meta.dirname;
fs.mkdirSync(built, { recursive: true });

function run(command, args, cwd = here) {
  const { error, status } = spawnSync(command, args, { cwd, stdio: ["ignore", 2, 2] });
  if (error?.code === "ENOENT") throw new Error(`${command} is not installed`);
  if (error || status !== 0) throw new Error(`${[command, ...args].join(" ")} failed; what it said is above`);
}

const steps = {
  npm: () => run("npm", ["ci", "--no-workspaces"]),
  "go-sse": () => run("go", ["build", "-trimpath", "-o", path.join(built, "go-sse"), "."], path.join(here, "go-sse")),
  hyperlane() {
    const target = path.join(built, "hyperlane-target");
    run("cargo", ["build", "--release", "--locked", "--target-dir", target], path.join(here, "hyperlane"));
    fs.copyFileSync(path.join(target, "release/hyperlane-peer"), path.join(built, "hyperlane"));
  },
  nchan() {
    if (onPath("nginx") === undefined) throw new Error("there is no nginx: apt-get install nginx");
    const folder = path.join(built, "nchan");
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder);
    run("apt-get", ["download", "libnginx-mod-nchan"], folder);
    const [file] = fs.readdirSync(folder);
    run("dpkg-deb", ["-x", file, "."], folder);
  },
};

const names = process.argv.slice(2);
const known = Object.keys(steps);
if (names.includes("--help")) {
  process.stdout.write(
    `node bench/peers/install.mjs [NAME…] installs what is measured beside; without a name all of\n`,
  );
  process.stdout.write(`${known.join(", ")}\n`);
  process.exit();
}
const unknown = names.find((name) => !known.includes(name));
if (unknown !== undefined) wrong(`there is no ${unknown} to install; there are ${known.join(", ")}`);
for (const name of names.length > 0 ? names : known) {
  process.stderr.write(`${name} …\n`);
  try {
    steps[name]();
    process.stdout.write(`${name}: installed\n`);
  } catch (error) {
    process.stdout.write(`${name}: skipped, ${error.message}\n`);
  }
}
