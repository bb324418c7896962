// The machine's limit for one delivery at a time: a loop of send(), from one thread, and nothing else.
// sendloop CONNECTIONS RATE COUNT BYTES prints its port, accepts, and begins when it is sent a line. What a full socket
// does not take is dropped, and counted: a reader that is behind must not slow down the loop.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 5) return fprintf(stderr, "sendloop CONNECTIONS RATE COUNT BYTES\n"), 2;
  int connections = atoi(argv[1]), count = atoi(argv[3]), size = atoi(argv[4]), accepted = 0;
  double rate = atof(argv[2]);
  int *sockets = calloc(connections, sizeof *sockets);
  int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(server, (void *)&address, length) || listen(server, 4096)) return perror("listen"), 1;
  getsockname(server, (void *)&address, &length);
  printf("{\"port\":%d}\n", ntohs(address.sin_port));
  fflush(stdout);

  char text[4096];
  while (accepted < connections) {
    int fd = accept(server, 0, 0);
    if (fd < 0) return perror("accept"), 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    if (read(fd, text, sizeof text) < 0 || write(fd, head, sizeof head - 1) < 0) return perror("answer"), 1;
    sockets[accepted++] = fd;
  }
  if (read(0, text, 1) != 1) return 0;

  int64_t began = now(), dropped = 0;
  for (int n = 0; n < count; n++) {
    int64_t early = began + (int64_t)(n / rate * 1e9) - now();
    if (early > 0) {
      struct timespec pause = {early / 1000000000, early % 1000000000};
      nanosleep(&pause, 0);
    }
    int bytes = snprintf(text, sizeof text, "id: reference-%d\nchannel: bench\ndata: n=%d;t=%lld;", n, n, (long long)now());
    while (bytes < size - 2) text[bytes++] = 'x';
    text[bytes++] = '\n', text[bytes++] = '\n';
    for (int i = 0; i < connections; i++) dropped += send(sockets[i], text, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) != bytes;
  }
  printf("{\"seconds\":%.3f,\"dropped\":%lld}\n", (now() - began) / 1e9, (long long)dropped);
  fflush(stdout);
  while (read(0, text, sizeof text) > 0) {
  }
}
