import { readFileSync } from "node:fs";
import { commands } from "./cli/commands.js";
import { helpText } from "./cli/help.js";
import { UsageError } from "./cli/option.js";
import { endWithReader, say } from "./cli/output.js";

/** Runs the command line and answers with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const [first = ""] = args;
  if (first === "--version") return print(`${version()}\n`);
  if (first === "--help" || first === "-h" || first === "help") return print(overview());
  // Options without a command are those of `serve`.
  const named = !first.startsWith("-") && first !== "";
  const command = named && Object.hasOwn(commands, first) ? commands[first] : named ? undefined : commands.serve;
  if (!command)
    return complain(`unknown command ${JSON.stringify(first)}: known are ${Object.keys(commands).join(", ")}`);
  const rest = named ? args.slice(1) : args;
  const options = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (options.includes("--help") || options.includes("-h")) return print(helpText(command));
  try {
    return await command.run({ args: rest, env: process.env });
  } catch (error) {
    if (error instanceof UsageError) return complain(error.message);
    throw error;
  }
}

function print(text: string): number {
  endWithReader();
  process.stdout.write(text);
  return 0;
}

function complain(message: string): number {
  say(message);
  return 1;
}

function version(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  const list = Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(width)}${about}`);
  return `Millrace pushes events to browsers and programs over Server-Sent Events.

Usage:
  millrace-hub [COMMAND] [OPTIONS]

Commands (without one: serve):
${list.join("\n")}

  millrace-hub COMMAND --help   shows a command's options
  millrace-hub --version        shows the version

To begin with:
  millrace-hub demo                                a hub with a page to look at
  millrace-hub serve --port 4000 --store disk:./events
  millrace-hub subscribe news                      in a second terminal
  millrace-hub publish news "It runs"              in a third one
`;
}
