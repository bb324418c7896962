// Writes docs/configuration.md from the tables of options. With --check it writes nothing, and exits 1 when the file is
// not up to date. Needs the build.
import { readFileSync, writeFileSync } from "node:fs";
import { commands } from "../packages/millrace-hub/dist/cli/commands.js";
import { defaultOf, repetitionOf } from "../packages/millrace-hub/dist/cli/help.js";
import { envName } from "../packages/millrace-hub/dist/cli/option.js";
import { units } from "../packages/millrace-hub/dist/cli/values.js";

const file = new URL("../docs/configuration.md", import.meta.url);
const rewrite = "npm run build && node scripts/write-configuration.mjs";

const code = (text) => `\`${text}\``;
const cell = (text) => text.replaceAll("|", "\\|");

function table(options) {
  const rows = Object.entries(options).map(([name, option]) => {
    const { value, help, off, default: fallback } = option;
    const notes = [
      help,
      ...repetitionOf(option),
      ...(off === undefined || off === fallback ? [] : [`Turned off by ${code(off)}.`]),
    ];
    const flag = code(`--${name}${value === undefined ? "" : ` ${value}`}`);
    const shown = fallback === undefined ? defaultOf(option) : code(fallback);
    return [flag, code(envName(name)), shown, notes.join(" ")].map(cell);
  });
  const head = ["flag", "variable", "default", "what it does"];
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

/** Commands with the same table share a section. */
function sections() {
  const tables = new Map();
  for (const [name, { options }] of Object.entries(commands))
    tables.set(options, [...(tables.get(options) ?? []), name]);
  return [...tables].map(([options, names]) => `## ${names.join(" and ")}\n\n${table(options)}`).join("\n\n");
}

const page = `# Configuration

<!-- Written by scripts/write-configuration.mjs: do not edit. ${rewrite} -->

Every option of \`millrace-hub\` is a flag, an environment variable, and a key of the JSON file that \`--config\` names. The
key is the flag's name without its dashes. A flag wins over the variable, the variable over the file, the file over the
default. An unknown flag, key or value is an error that says what is known; an empty variable counts as none.

${Object.entries(units)
  .map(([value, meaning]) => `- ${code(value)} is ${meaning}.`)
  .join("\n")}
- A switch is given as a flag without a value, and as \`true\` or \`false\` in a variable or in the file.

\`\`\`json
{ "port": 8080, "store": "disk:/var/lib/millrace", "retention-age": "7d", "cors-origin": ["https://app.example.com"] }
\`\`\`

${sections()}
`;

if (!process.argv.includes("--check")) writeFileSync(file, page);
else if (readFileSync(file, "utf8") !== page) {
  console.error(`docs/configuration.md is not what the options say: ${rewrite}`);
  process.exitCode = 1;
}
