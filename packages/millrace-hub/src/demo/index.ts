import { systemFigures } from "millrace/sources";
import type { Running } from "../serve/serve.js";
import { chat } from "./chat.js";
import { dashboard } from "./dashboard.js";
import { SharedDocument } from "./document.js";
import { news } from "./news.js";
import { notifications } from "./notifications.js";
import { scores } from "./scores.js";
import { sensors } from "./sensors.js";
import { type DemoSource, publishWhileWatched } from "./source.js";
import { stocks } from "./stocks.js";

/** The simulated channels, `demo/<name>` each, and the page `/<name>` of each. */
const sources: readonly DemoSource[] = [dashboard, stocks, scores, sensors, news, chat, notifications];

/** How often the machine's figures are published, in milliseconds. */
const sampleMs = 1000;

export interface Sources {
  readonly document: SharedDocument;
  stop(): void;
}

/** Publishes the machine's figures, always, and what is simulated while it is watched. Ends with the hub, or by what it answers. */
export function startSources({ hub, metrics, log }: Running): Sources {
  const stopping = new AbortController();
  const failed = (error: Error) => log.warn(`the demo could not publish: ${error.message}`);
  const publishFigures = async () => {
    const figures = systemFigures({ everyMs: sampleMs, hub, http: metrics.requests, signal: stopping.signal });
    for await (const data of figures) await hub.publish({ channel: "system", data }).catch(failed);
  };
  publishFigures().catch(failed);
  for (const source of sources) publishWhileWatched(hub, source, failed);
  const document = new SharedDocument(hub, failed);
  document.start(stopping.signal);
  return { document, stop: () => stopping.abort() };
}
