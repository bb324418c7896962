import { mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, runCommand, startCommand } from "./command.js";
import { until } from "./until.js";

// Debian keeps it where not every user looks.
const env = { PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/** Whether this machine has nginx; the reason is empty when it has. */
export async function nginxAvailable(): Promise<{ available: boolean; reason: string }> {
  const available = (await runCommand("nginx", ["-v"], { env })).code === 0;
  return { available, reason: available ? "" : "no nginx on this machine (Debian: apt-get install nginx)" };
}

/** What stands in the `http` block of a server that listens on this port. */
export type Servers = (port: number) => string;

interface Nginx extends AsyncDisposable {
  readonly url: string;
  /** Goes on with another configuration. What was open ends, as at a restart, but nobody is refused meanwhile. */
  change(servers: Servers): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Runs nginx in the foreground, with a folder of its own. @param port default: a free one */
export async function startNginx(servers: Servers, port?: number): Promise<Nginx> {
  return run(servers, port ?? (await freePort()));
}

async function run(servers: Servers, port: number): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-nginx-"));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);
  let generation = 0;
  const write = (servers: Servers) =>
    writeFile(
      join(folder, "nginx.conf"),
      `daemon off; worker_processes 1; pid nginx.pid; error_log stderr notice; worker_shutdown_timeout 1s;
       ${process.getuid?.() === 0 ? "user root;" : ""}
       events { worker_connections 256; }
       http { access_log off; ${temporary.join(" ")}
         ${servers(port)}
       }
       # ${generation++}`,
    );
  await write(servers);
  const nginx: Command = startCommand("nginx", ["-p", folder, "-c", "nginx.conf", "-e", "stderr"], { env });
  await until("nginx listens", async () => {
    if (/\[emerg\]/.test(nginx.stderr())) throw new Error(nginx.stderr());
    return new Promise((resolve) => {
      const socket = net.connect(port, "127.0.0.1", () => resolve(true));
      socket.on("error", () => resolve(false)).on("close", () => socket.destroy());
      socket.on("connect", () => socket.end());
    });
  });
  return {
    url: `http://127.0.0.1:${port}`,
    async change(servers) {
      await write(servers);
      const before = nginx.stderr().length;
      nginx.kill("SIGHUP");
      await until("nginx has ended what was open", () => {
        const said = nginx.stderr().slice(before);
        if (/\[emerg\]/.test(said)) throw new Error(said);
        return /worker process \d+ exited/.test(said);
      });
    },
    async [Symbol.asyncDispose]() {
      nginx.kill("SIGTERM"); // its workers end with it, as by SIGKILL they would not
      await nginx.ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
