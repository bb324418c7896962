import path from "node:path";

/** Where install.mjs puts what it builds and unpacks. */
export const built = path.join(import.meta.dirname, "../.cache/peers");
