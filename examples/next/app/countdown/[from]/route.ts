import { setTimeout } from "node:timers/promises";
import { eventStream } from "millrace";

// A stream of its own for each client: what is written here goes to the one who asked. At its end the client stays away.
export const GET = eventStream(async (stream, request: Request, { params }: { params: Promise<{ from: string }> }) => {
  const { from } = await params;
  const user = request.headers.get("x-user");
  try {
    for (let n = Number(from); n >= 0; n--) {
      await stream.send({ event: "count", data: { n, user } });
      await setTimeout(500, undefined, { signal: stream.signal });
    }
  } finally {
    console.log(`no more counting for ${user}`);
  }
});

export const dynamic = "force-dynamic";

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => GET.close());
