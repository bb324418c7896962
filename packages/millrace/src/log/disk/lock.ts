import { createHash } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { MillraceError } from "../../protocol/index.js";

/**
 * Holds a store for this process: a bound socket, because it ends with its process, however that ends. A file with a
 * process id does not, and in a container the id is soon another's.
 */
export interface Lock {
  release(): Promise<void>;
}

/** Longest path that fits a Unix socket's address everywhere. */
const maxAddressBytes = 100;

/** @throws MillraceError `store_locked` when another process holds the store */
export async function lockStore(folder: string): Promise<Lock> {
  if (process.platform === "win32") {
    const name = createHash("sha256").update(path.resolve(folder)).digest("hex").slice(0, 32);
    const server = await listen(`\\\\.\\pipe\\millrace-${name}`);
    if (!server) throw locked(folder);
    return { release: () => close(server) };
  }
  const file = path.join(folder, "lock");
  const { address, done } = addressOf(folder, file);
  try {
    let server = await listen(address);
    if (!server) {
      const found = identity(file);
      if (await answers(address)) throw locked(folder);
      // Its process is gone. But not if another process was quicker, and this is that one's by now.
      if (identity(file) === found) fs.rmSync(file, { force: true });
      server = await listen(address);
    }
    if (!server || !(await isOwn(server, file))) throw locked(folder);
    const held = server;
    return { release: () => close(held).finally(done) };
  } catch (error) {
    done();
    throw error;
  }
}

const locked = (folder: string) =>
  new MillraceError(
    "store_locked",
    `the store ${folder} is in use by another hub: stop that one, or use another store`,
  );

/** A deep folder's socket is addressed through an open descriptor of the folder, which is short. Its end needs it too. */
function addressOf(folder: string, file: string): { address: string; done: () => void } {
  if (Buffer.byteLength(file) <= maxAddressBytes || process.platform !== "linux")
    return { address: file, done: () => {} };
  const fd = fs.openSync(folder, "r");
  return { address: `/proc/self/fd/${fd}/lock`, done: () => fs.closeSync(fd) };
}

function listen(address: string): Promise<net.Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(address, () => resolve(server));
  });
}

/** Only a socket that nobody holds refuses. One whose process is stopped says EAGAIN: its lock was once stolen for it. */
const dead = new Set(["ECONNREFUSED", "ENOENT"]);

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(address);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", ({ code = "" }: NodeJS.ErrnoException) => resolve(!dead.has(code)));
  });
}

/** Two processes may find the same dead lock: the one whose socket was removed again by the other gives way. */
async function isOwn(server: net.Server, file: string): Promise<boolean> {
  const before = identity(file);
  await new Promise((resolve) => setTimeout(resolve, 20));
  // Not closed when it is not our own: that would remove the other's socket.
  server.unref();
  return before !== undefined && identity(file) === before;
}

/** Tells a file from a later one of the same name. Not by its inode alone: that is given out again at once. */
function identity(file: string): string | undefined {
  const stat = fs.statSync(file, { bigint: true, throwIfNoEntry: false });
  return stat && `${stat.ino} ${stat.ctimeNs}`;
}

const close = (server: net.Server) => new Promise<void>((resolve) => server.close(() => resolve()));
