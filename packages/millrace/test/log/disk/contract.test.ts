import { logContract } from "../contract.js";
import { startDisk } from "../support.js";

logContract("disk", startDisk("kept"));
logContract("disk, hardly a cache", startDisk("kept", { cacheBytes: 1 }));
logContract("disk, closed and opened again", startDisk("reopened"));
logContract("disk, of a process that is gone", startDisk("abandoned"));
