// An application with users: it tells the hub who somebody is by a header. Prints its URL when it is ready.
import http from "node:http";
import { createHub } from "millrace";

const hub = createHub({
  authorize: (request) => {
    const user = request.header("x-user");
    return user === undefined ? {} : { user };
  },
  heartbeatMs: 0,
});
const server = http.createServer(hub.listener);
server.listen(0, "127.0.0.1", () => process.stdout.write(`http://127.0.0.1:${server.address().port}\n`));
