import { logContract } from "./contract.js";
import { startMemory } from "./support.js";

logContract("memory", startMemory);
