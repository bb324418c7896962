/** The examples as programs of their own, and curl, which is how they say that one listens to them. */
import { fileURLToPath } from "node:url";
import { type Command, startCommand } from "./command.js";
import { type Block, BlockReader } from "./raw.js";
import { until } from "./until.js";

export const examples = fileURLToPath(new URL("../../examples", import.meta.url));

/** Starts an example and waits for the line with its address. */
export async function startExample(file: string, args: string[], env: Record<string, string>, cwd = examples) {
  const command = startCommand(file, args, { cwd, env });
  let url = "";
  const said = () => command.stdout() + command.stderr();
  await until(
    () => `${args.join(" ")} says its address; it said: ${said()}`,
    () => {
      url = /http:\/\/[\d.]+:\d+/.exec(said())?.[0] ?? "";
      return url;
    },
  );
  return { command, url };
}

/** A text is sent as it is, anything else as JSON. */
export async function post(url: string, body: unknown, method = "POST") {
  const response = await fetch(url, {
    method,
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, text: await response.text() };
}

/** `curl -N`; with `-i` among the flags its output begins with the head of the answer. */
export function listen(url: string, ...flags: string[]): Command {
  return startCommand("curl", ["-sSN", ...flags, url]);
}

/** The head that `curl -i` has printed: its status line and its headers, whose names are in small letters. */
export function headOf(curl: Command): { status: string; headers: Record<string, string> } {
  const [status = "", ...lines] = (curl.stdout().split("\r\n\r\n")[0] ?? "").split("\r\n");
  const headers = lines.map((line) => [
    line.slice(0, line.indexOf(":")).toLowerCase(),
    line.slice(line.indexOf(":") + 2),
  ]);
  return { status, headers: Object.fromEntries(headers) };
}

/** The whole blocks that a curl has received so far. */
export function blocksOf(curl: Command): Block[] {
  const text = curl.stdout();
  const body = text.startsWith("HTTP/") ? text.slice(text.lastIndexOf("\r\n\r\n") + 4) : text;
  return new BlockReader().feed(Buffer.from(body));
}

/** Those that are events: that have data. */
export const eventsOf = (curl: Command): Block[] => blocksOf(curl).filter(({ data }) => data !== undefined);
