import { invalidOption } from "../protocol/index.js";
import { Problem } from "./problem.js";
import { decode } from "./query.js";

/** The parameters of a path: those of `/events/:channel` are `{ channel: string }`. */
export type PathParams<P extends string> = P extends `${infer Head}/${infer Tail}`
  ? PathParams<Head> & PathParams<Tail>
  : P extends `:${infer Name}`
    ? { readonly [N in Name]: string }
    : unknown;

type Segment = { readonly text: string } | { readonly param: string };

/** A path with parameters, such as `/events/:channel`. A parameter is one segment, and not empty. */
export class PathPattern {
  readonly text: string;
  readonly #segments: readonly Segment[];

  /** @throws MillraceError `invalid_option` */
  constructor(text: string) {
    this.text = text;
    const segments = text.split("/").slice(1);
    this.#segments = segments.map((part) => (part.startsWith(":") ? { param: part.slice(1) } : { text: part }));
    const names = this.#segments.flatMap((segment) => ("param" in segment ? segment.param : []));
    const wrong = !text.startsWith("/") || /[*?#]/.test(text) || new Set(names).size < names.length;
    if (wrong || names.some((name) => !/^\w+$/.test(name))) {
      throw invalidOption("path", text, 'it begins with "/", and a parameter is a segment such as ":channel"');
    }
  }

  /** The parameters of a path, decoded; undefined when it does not match. @throws Problem 400 when it is not UTF-8 */
  match(path: string): Readonly<Record<string, string>> | undefined {
    const parts = path.split("/").slice(1);
    if (parts.length !== this.#segments.length) return undefined;
    const params: Record<string, string> = Object.create(null);
    for (const [at, segment] of this.#segments.entries()) {
      const part = parts[at] as string;
      if ("text" in segment) {
        if (part !== segment.text) return undefined;
      } else if (part === "") return undefined;
      else params[segment.param] = decode(part);
    }
    return params;
  }

  /** The path with these parameters. @throws Problem 400 for `.` and `..`, by which a client would leave the path */
  fill(params: Readonly<Record<string, string>>): string {
    const part = (segment: Segment) => {
      if ("text" in segment) return segment.text;
      const value = params[segment.param] as string;
      if (value !== "." && value !== "..") return encodeURIComponent(value);
      throw new Problem(400, "invalid_parameter", `${segment.param} is ${JSON.stringify(value)}: that is no name`);
    };
    return `/${this.#segments.map(part).join("/")}`;
  }

  /** The names of its parameters. */
  get params(): string[] {
    return this.#segments.flatMap((segment) => ("param" in segment ? segment.param : []));
  }
}
