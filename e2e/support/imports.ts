/**
 * Finds what a TypeScript or JavaScript source imports, without a compiler: TypeScript 7 offers none to programs.
 */

/** One import or re-export of a source. */
export interface Import {
  specifier: string;
  line: number;
  /**
   * `import type` or `export type … from`: gone from the compiled file. `import { type A }` is not: with
   * `verbatimModuleSyntax` the compiler keeps it as `import {}`, and the file is loaded.
   */
  typeOnly: boolean;
}

export interface ScannedSource {
  imports: Import[];
  /** The source with comments and the content of strings blanked, so that a search finds code only. Same line numbers. */
  code: string;
}

const regexMayFollow =
  /(?:^|[([{,;:=!&|?+\-*%<>~^}]|\b(?:return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield))$/;

/**
 * Blanks comments, regular expressions and the content of strings and templates. Each string leaves `"<n>"`, where n is
 * its index in `strings`; code inside of `${}` stays.
 */
function blank(source: string): { code: string; strings: string[] } {
  const strings: string[] = [];
  let code = "";
  let at = 0;
  // One entry per open `${`: how many braces are open inside of it.
  const templates: number[] = [];

  const newlines = (text: string) => text.replace(/[^\n]/g, " ");
  const skipTemplateText = () => {
    const from = at;
    while (at < source.length && source[at] !== "`" && !source.startsWith("${", at)) at += source[at] === "\\" ? 2 : 1;
    code += newlines(source.slice(from, at));
    if (source[at] === "`") {
      code += "`";
      at += 1;
    } else if (at < source.length) {
      code += "${";
      at += 2;
      templates.push(0);
    }
  };

  while (at < source.length) {
    const char = source[at] as string;
    const next = source[at + 1];
    if (char === "/" && (next === "/" || next === "*")) {
      const found = next === "/" ? source.indexOf("\n", at) : source.indexOf("*/", at + 2) + 2;
      const end = found < 2 ? source.length : found;
      code += newlines(source.slice(at, end));
      at = end;
    } else if (char === '"' || char === "'") {
      let end = at + 1;
      while (end < source.length && source[end] !== char && source[end] !== "\n") end += source[end] === "\\" ? 2 : 1;
      strings.push(source.slice(at + 1, end));
      code += `"${strings.length - 1}"`;
      at = end + 1;
    } else if (char === "`") {
      code += "`";
      at += 1;
      skipTemplateText();
    } else if (char === "/" && regexMayFollow.test(code.slice(-200).trimEnd())) {
      let end = at + 1;
      let inClass = false;
      while (end < source.length && source[end] !== "\n" && (inClass || source[end] !== "/")) {
        if (source[end] === "[") inClass = true;
        else if (source[end] === "]") inClass = false;
        end += source[end] === "\\" ? 2 : 1;
      }
      code += "/ /";
      at = end + 1;
    } else {
      const open = templates.length - 1;
      if (open >= 0 && char === "{") templates[open] = (templates[open] as number) + 1;
      if (open >= 0 && char === "}") {
        if (templates[open] === 0) {
          templates.pop();
          code += "}";
          at += 1;
          skipTemplateText();
          continue;
        }
        templates[open] = (templates[open] as number) - 1;
      }
      code += char;
      at += 1;
    }
  }
  return { code, strings };
}

const clause = String.raw`(?:[\w$]+\s*,?\s*)?(?:\{[^{}"]*\}\s*|\*\s*(?:as\s+[\w$]+\s+)?)?`;
const statement = new RegExp(
  String.raw`(?<![.\w$])(?:import|export)\b(\s+type\b(?!\s*(?:,|from\b)))?\s*${clause}(?<=[\s}*])from\s*"(\d+)"`,
  "g",
);
const sideEffect = /(?<![.\w$])import\s*"(\d+)"/g;
const call = /(?<![.\w$])(?:import|require|import\s*\.\s*meta\s*\.\s*resolve)\s*\(\s*"(\d+)"/g;

/** Finds all imports of a source: static, dynamic with a literal, `require`, and `import("…")` in a type. */
export function scan(source: string): ScannedSource {
  const { code, strings } = blank(source);
  const imports: Import[] = [];
  const add = (index: number, string: string | undefined, typeOnly: boolean) => {
    const line = code.slice(0, index).split("\n").length;
    imports.push({ specifier: strings[Number(string)] ?? "", line, typeOnly });
  };
  for (const match of code.matchAll(statement)) add(match.index, match[2], match[1] !== undefined);
  for (const match of code.matchAll(sideEffect)) add(match.index, match[1], false);
  for (const match of code.matchAll(call)) add(match.index, match[1], false);
  return { imports: imports.sort((a, b) => a.line - b.line), code: code.replace(/"\d+"/g, '""') };
}
