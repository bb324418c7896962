// Streams in a Next.js application (App Router): as routes among its others, behind its own proxy.ts.
//
//   npm ci && npm run build                                      once, in the repository
//   cd examples/next && npm ci && npm run build && npm start     then open http://127.0.0.1:3000 in two tabs, or:
//
//   curl -N -b token=ann-secret http://127.0.0.1:3000/countdown/5
//   curl -N -b token=ann-secret http://127.0.0.1:3000/events        leave it open, and in a second terminal:
//   curl -b token=bob-secret -H "Content-Type: application/json" -d '{"title":"It rains"}' http://127.0.0.1:3000/news
//
// To see: each number comes when it is counted, though Next.js compresses what it answers. Without a token it is 401,
// with a wrong one 403, on streams as on all else.
import { hub } from "../../lib/hub";

// The hub's channel, to any number of clients. They come back to where they were.
export const GET = hub.stream((request: Request) => {
  const user = request.headers.get("x-user");
  return user ? { channels: "news", user } : { refuse: 401 };
});

export const dynamic = "force-dynamic";
