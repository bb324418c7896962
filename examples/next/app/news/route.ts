import { hub } from "../../lib/hub";

export async function POST(request: Request) {
  const data = { ...(await request.json()), by: request.headers.get("x-user") };
  return Response.json({ id: await hub.publish({ channel: "news", event: "headline", data }) }, { status: 201 });
}
