import { createHash } from "node:crypto";
import { append } from "./lua/append.js";
import { open } from "./lua/open.js";
import { read } from "./lua/read.js";
import { rewind } from "./lua/rewind.js";
import { tick } from "./lua/tick.js";

/** A script, and the name that Redis knows it by. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

const script = (text: string): Script => ({ text, sha: createHash("sha1").update(text).digest("hex") });

export const scripts = {
  append: script(append),
  open: script(open),
  tick: script(tick),
  read: script(read),
  rewind: script(rewind),
};
