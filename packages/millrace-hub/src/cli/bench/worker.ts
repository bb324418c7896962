import { parentPort, workerData } from "node:worker_threads";
import { type Job, startLoad } from "./load.js";

/** What a thread says: how far its connections are, and its counts when it is asked for them. */
const load = startLoad(workerData as Job);
load.settled.then(() => parentPort?.postMessage("settled"));
load.over.then(() => parentPort?.postMessage("over"));
parentPort?.on("message", () => parentPort?.postMessage(load.counts()));
