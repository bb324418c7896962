// Imported before everything else, so that an old Node says what is wrong instead of failing on syntax or on a
// missing export of a built-in. Nothing here is newer than what that old Node understands.
import { readFileSync } from "node:fs";

const { engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const [wantedMajor, wantedMinor] = engines.node
  .replace(/[^\d.]/g, "")
  .split(".")
  .map(Number);
const [major, minor] = process.versions.node.split(".").map(Number);

if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
  console.error(
    "Millrace needs Node " +
      wantedMajor +
      "." +
      wantedMinor +
      " or newer; this is Node " +
      process.versions.node +
      " (" +
      process.execPath +
      "). Get a newer one at https://nodejs.org/ and run the same command again.",
  );
  process.exit(1);
}
