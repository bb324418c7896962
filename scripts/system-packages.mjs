// Debian packages that suites need and npm cannot give. Add one: a line in the list.
import { execFileSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { run } from "./run.mjs";

/** `present`: a command that succeeds when it is there. `usedBy`: what is skipped without it. */
const packages = [
  { name: "chromium", present: ["chromium", "--version"], usedBy: "the tests in a real browser" },
  { name: "curl", present: ["curl", "--version"], usedBy: "the examples with curl" },
  { name: "openssl", present: ["openssl", "version"], usedBy: "the tests over TLS" },
  { name: "nginx", present: ["nginx", "-v"], usedBy: "the tests behind a proxy" },
  { name: "redis-server", present: ["redis-server", "--version"], usedBy: "the tests of many nodes on Redis" },
  { name: "python3-venv", present: ["python3", "-c", "import ensurepip, venv"], usedBy: "the Flask example" },
];

const policyFile = "/usr/sbin/policy-rc.d";

function isPresent({ present: [command, ...args] }) {
  try {
    // nginx is in a folder that is not on every user's PATH.
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
    execFileSync(command, args, { env, stdio: "ignore", timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}

function whyNotInstallable(names) {
  const command = `apt-get install --no-install-recommends ${names.join(" ")}`;
  if (!existsSync("/etc/debian_version") || !existsSync("/usr/bin/apt-get")) {
    return `this is no Debian; install what gives ${names.join(", ")} here`;
  }
  if (process.getuid?.() !== 0) return `not root; run: sudo ${command}`;
  return "";
}

function apt(...args) {
  const options = [
    "-qq",
    "-o",
    "Acquire::Retries=2",
    "-o",
    "Acquire::http::Timeout=30",
    "-o",
    "DPkg::Lock::Timeout=300",
  ];
  return run("/usr/bin/apt-get", [...options, ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    output: "capture",
    timeoutMs: 900_000,
    stillDoing: `running apt-get ${args[0]}`,
  });
}

/** Debian starts a service as soon as it is installed, and nginx would then hold port 80: the policy file forbids it. */
async function withoutStartingServices(action) {
  if (existsSync(policyFile)) return action();
  const remove = () => rmSync(policyFile, { force: true });
  writeFileSync(policyFile, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  process.once("exit", remove);
  try {
    return await action();
  } finally {
    process.off("exit", remove);
    remove();
  }
}

/**
 * Installs what is missing where that is possible, and says so.
 * @param {(line: string) => void} say
 * @returns {Promise<{ name: string, usedBy: string, reason: string }[]>} those that are not there in the end
 */
export async function provideSystemPackages(say) {
  let missing = packages.filter((entry) => !isPresent(entry));
  if (missing.length === 0) return [];
  const names = missing.map(({ name }) => name);
  let reason = whyNotInstallable(names);
  if (!reason) {
    say(`Installing Debian packages that tests need: ${names.join(" ")} (apt-get) …`);
    await withoutStartingServices(async () => {
      const update = await apt("update");
      let install = await apt("install", "-y", "--no-install-recommends", ...names);
      // One name that the archive does not have makes apt-get refuse all of them.
      if (!install.ok && names.length > 1) {
        for (const name of names) {
          const one = await apt("install", "-y", "--no-install-recommends", name);
          if (!one.ok) install = one;
        }
      }
      const failed = [update, install].find(({ ok }) => !ok);
      if (failed) {
        say(failed.output.trim());
        reason = `apt-get failed (${failed.problem})`;
      }
    });
    missing = missing.filter((entry) => !isPresent(entry));
  }
  return missing.map(({ name, usedBy }) => ({ name, usedBy, reason: reason || "installed, but does not run" }));
}
