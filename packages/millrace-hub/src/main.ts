import { readFileSync } from "node:fs";
import { commands } from "./cli/commands.js";
import { UsageError } from "./cli/option.js";

/** Runs the command line and answers with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const [first = ""] = args;
  if (first === "--version") {
    const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    process.stdout.write(`${version}\n`);
    return 0;
  }
  if (first === "--help" || first === "-h" || first === "help") {
    process.stdout.write(overview());
    return 0;
  }
  // Options without a command are those of `serve`.
  const named = !first.startsWith("-") && first !== "";
  const command = named && Object.hasOwn(commands, first) ? commands[first] : named ? undefined : commands.serve;
  if (!command)
    return complain(`unknown command ${JSON.stringify(first)}: known are ${Object.keys(commands).join(", ")}`);
  const rest = named ? args.slice(1) : args;
  if (rest.includes("--help") || rest.includes("-h")) {
    process.stdout.write(command.help());
    return 0;
  }
  try {
    return await command.run({ args: rest, env: process.env });
  } catch (error) {
    if (error instanceof UsageError) return complain(error.message);
    throw error;
  }
}

function complain(message: string): number {
  process.stderr.write(`millrace-hub: ${message.replaceAll("\n", " ")}\n`);
  return 1;
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
`;
}
