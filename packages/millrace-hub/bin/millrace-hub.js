#!/usr/bin/env node
// A committed stub: npm links a workspace's bin before anything has been built.
import { main } from "../dist/main.js";

process.exitCode = await main(process.argv.slice(2));
