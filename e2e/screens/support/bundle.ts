import { fileURLToPath } from "node:url";
import { build, type Plugin } from "vite";
import { compileScript, parse } from "vue/compiler-sfc";

export type Library = "react" | "vue";

const folder = fileURLToPath(new URL("..", import.meta.url));

/** Bundles one of `apps`; it exports `start`. */
export const bundle = (library: Library): Promise<string> => pack(`${folder}apps/${library}.ts`);

/**
 * Bundles what a document shows: a component of React, the first one that it exports, or of Vue, a file or its options.
 * With the `props`, as an application that exports `start`.
 */
export async function bundleSnippet(library: Library, code: string, props: object = {}): Promise<string> {
  const isFile = code.startsWith("<");
  const source = isFile ? compileScript(parse(code).descriptor, { id: "snippet", inlineTemplate: true }).content : code;
  const entry = {
    react: `
      import { createElement, StrictMode } from "react";
      import { createRoot } from "react-dom/client";
      import * as snippet from "./snippet.jsx";
      export function start(container) {
        const root = createRoot(container);
        const [component] = Object.values(snippet);
        root.render(createElement(StrictMode, null, createElement(component, ${JSON.stringify(props)})));
      }`,
    vue: `
      import { createApp } from "vue";
      import component from "./snippet.jsx";
      export const start = (container) => createApp(component, ${JSON.stringify(props)}).mount(container);`,
  };
  const files = new Map([
    [`${folder}start.js`, entry[library]],
    [`${folder}snippet.jsx`, source],
  ]);
  return pack(`${folder}start.js`, {
    name: "snippet",
    resolveId: (id) => [...files.keys()].find((file) => file.endsWith(id.replace(/^.*\//, "/"))),
    load: (id) => files.get(id),
  });
}

/** As users do it, but with the development builds of the libraries: they have StrictMode, and warn. */
async function pack(entry: string, plugin?: Plugin): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "error",
    plugins: plugin ? [plugin] : [],
    resolve: { alias: [{ find: /^vue$/, replacement: "vue/dist/vue.esm-bundler.js" }] },
    define: {
      "process.env.NODE_ENV": '"development"',
      // As Vue's own plugin has them.
      __VUE_OPTIONS_API__: "true",
      __VUE_PROD_DEVTOOLS__: "false",
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
    },
    build: { lib: { entry, formats: ["es"] }, write: false, minify: false },
  });
  const [output] = [built].flat();
  if (!output || !("output" in output)) throw new Error("vite has built nothing");
  return output.output[0].code;
}
