// npm start [-- FLAGS]: sets itself up where that is needed, then is the demo hub, in this very process.
import "./node-version.mjs";
import { endWithParent } from "./parent.mjs";

const flags = process.argv.slice(process.argv[2] === "--" ? 3 : 2);

endWithParent();

const { build, installDependencies, say } = await import("./setup.mjs");

let problem = await installDependencies();
if (!problem) {
  say("Building …");
  problem = await build(["packages/millrace", "packages/millrace-hub"]);
}
if (problem) {
  say(problem);
  process.exitCode = 1;
} else {
  say("Starting the demo hub; Ctrl-C ends it.");
  const { main } = await import("../packages/millrace-hub/dist/main.js");
  process.exitCode = await main(["demo", ...flags]);
}
