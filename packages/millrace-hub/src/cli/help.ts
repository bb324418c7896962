import { envName, type Options } from "./option.js";

/** The help of a command, for a terminal of 80 columns or a pipe. */
export function helpText(usage: readonly string[], about: string, options: Options): string {
  const lines = ["Usage:", ...usage.map((line) => `  ${line}`), "", ...wrap(about, 0), "", "Options:"];
  for (const [name, { value, help, default: fallback, off, many }] of Object.entries(options)) {
    const notes = [
      ...(many ? ["May be given several times."] : []),
      ...(fallback === undefined || value === undefined ? [] : [`Default: ${fallback}.`]),
      ...(off === undefined ? [] : [`Turned off by ${off}.`]),
    ];
    lines.push(`  --${name}${value === undefined ? "" : ` ${value}`}`, ...wrap([help, ...notes].join(" "), 6));
  }
  lines.push("  --help", "      Shows this.", "");
  lines.push(
    ...wrap(
      `Each option is also an environment variable (${envName("port")} for --port) and a key of the JSON file that --config names ("port"). A flag wins over the variable, and that over the file.`,
      0,
    ),
  );
  return `${lines.join("\n")}\n`;
}

function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > 80) {
      lines.push(" ".repeat(indent) + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, " ".repeat(indent) + line];
}
