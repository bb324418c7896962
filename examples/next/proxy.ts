import { type NextRequest, NextResponse } from "next/server";

const users = new Map([
  ["ann-secret", "ann"],
  ["bob-secret", "bob"],
]);

/** Lets through who has a token, and tells the routes who it is. */
export function proxy(request: NextRequest) {
  if (request.nextUrl.pathname === "/") return loggedIn();
  const token = request.cookies.get("token")?.value ?? "";
  const user = users.get(token);
  if (!user) {
    return Response.json({ error: token ? "a wrong token" : "log in first" }, { status: token ? 403 : 401 });
  }
  const headers = new Headers(request.headers);
  headers.set("x-user", user);
  return NextResponse.next({ request: { headers } });
}

function loggedIn() {
  const response = NextResponse.next();
  response.cookies.set("token", "ann-secret", { httpOnly: true, sameSite: "strict" });
  return response;
}

export const config = { matcher: ["/", "/events", "/news", "/countdown/:from"] };
