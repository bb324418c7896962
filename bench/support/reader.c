// Opens N streams from one thread and reads them; every event's data carries "n=<number>;t=<CLOCK_MONOTONIC in ns>;".
// The same program as reader-process.mjs, at a third of its cost or less: readers.mjs says what both take and print.
//
// It looks for '=': in what the servers send it stands in the markers alone, so that a marker costs two calls of memchr.
// A marker that a read has cut is kept, and put in front of what the connection's next read brings.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CUT 48         // no marker is longer: two numbers of at most 20 digits
#define CHUNK (1 << 18) // of the size of a processor's own cache, not of the socket's
#define STEPS 64       // of a histogram between a number and its double: within 1.6 %

typedef struct {
  int fd, cut, answered;
  int64_t events;
  int64_t *last; // one number a lane
  char head[CUT];
} Stream;

static Stream *streams;
static int count, lanes, opened, closed;
static int64_t expected, warm, deliveries, lost, twice, bytes, first, latest, slowest;
static int64_t histogram[64 * STEPS];

static int64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void record(int64_t ns) {
  if (ns < 0) ns = 0;
  if (ns > slowest) slowest = ns;
  int shift = ns < STEPS ? 0 : 63 - __builtin_clzll(ns) - 6;
  histogram[shift * STEPS + (ns >> shift)]++;
}

static int64_t measured(void) {
  return deliveries > warm ? deliveries - warm : deliveries;
}

static double percentile(double part) {
  int64_t sum = 0, wanted = measured() * part;
  for (int64_t at = 0; at < 64 * STEPS; at++) {
    if ((sum += histogram[at]) <= wanted) continue;
    int shift = at < 2 * STEPS ? 0 : at / STEPS - 1;
    return (double)((at - shift * STEPS) << shift) / 1e6;
  }
  return 0;
}

static void delivered(Stream *s, int64_t n, int64_t t, int64_t at) {
  int64_t *last = &s->last[n % lanes];
  if (n <= *last) {
    twice++;
    return;
  }
  if (*last >= 0) lost += (n - *last) / lanes - 1;
  *last = n;
  s->events++;
  deliveries++;
  record(at - t);
  if (!first) first = at;
  latest = at;
  if (deliveries != warm) return;
  printf("{\"warm\":%lld}\n", (long long)warm);
  fflush(stdout);
  memset(histogram, 0, sizeof histogram);
  first = slowest = 0;
}

// A number and its semicolon; moves behind both. -1: something else, -2: the bytes end before it does.
static int64_t number(const char **from, const char *end) {
  const char *p = *from;
  int64_t value = 0;
  for (; p < end && *p >= '0' && *p <= '9'; p++) value = value * 10 + *p - '0';
  if (p == end) return -2;
  if (*p != ';') return -1;
  *from = p + 1;
  return value;
}

static void keep(Stream *s, const char *from, const char *end) {
  if (end - from > CUT) return; // too long for a marker
  s->cut = end - from;
  memcpy(s->head, from, s->cut);
}

static void scan(Stream *s, const char *begin, const char *end, int64_t at) {
  const char *p = begin;
  while ((p = memchr(p, '=', end - p))) {
    const char *mark = p - 1;
    p++;
    if (mark < begin || *mark != 'n') continue;
    int64_t n = number(&p, end);
    if (n == -1) continue;
    if (n == -2 || end - p < 2) return keep(s, mark, end);
    if (p[0] != 't' || p[1] != '=') continue;
    p += 2;
    int64_t t = number(&p, end);
    if (t == -2) return keep(s, mark, end);
    if (t >= 0) delivered(s, n, t, at);
  }
  if (end > begin && end[-1] == 'n') keep(s, end - 1, end);
}

static void receive(Stream *s, int poll) {
  static char space[CUT + CHUNK];
  char *to = space + s->cut;
  memcpy(space, s->head, s->cut);
  ssize_t length = read(s->fd, to, CHUNK);
  if (length <= 0) {
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
    epoll_ctl(poll, EPOLL_CTL_DEL, s->fd, 0);
    closed++;
    return;
  }
  if (!s->answered) {
    s->answered = 1;
    if (++opened == count) printf("{\"open\":%d}\n", opened), fflush(stdout);
  }
  bytes += length;
  s->cut = 0;
  scan(s, space, to + length, now());
}

static void report(void) {
  int64_t least = INT64_MAX, most = 0;
  for (int i = 0; i < count; i++) {
    if (streams[i].events < least) least = streams[i].events;
    if (streams[i].events > most) most = streams[i].events;
  }
  double seconds = (latest - first) / 1e9;
  printf("{\"reader\":\"C\",\"connections\":%d,\"open\":%d,\"closed\":%d,\"deliveries\":%lld,\"measured\":%lld,\"least\":%lld,\"most\":%lld,"
         "\"lost\":%lld,\"twice\":%lld,\"bytes\":%lld,\"seconds\":%.3f,\"perSecond\":%.0f,"
         "\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"p999Ms\":%.3f,\"maxMs\":%.3f,\"done\":true}\n",
         count, opened, closed, (long long)deliveries, (long long)measured(), (long long)least, (long long)most, (long long)lost, (long long)twice,
         (long long)bytes, seconds, seconds > 0 ? measured() / seconds : 0, percentile(0.5), percentile(0.99),
         percentile(0.999), slowest / 1e6);
  fflush(stdout);
  _exit(0); // closing ten thousand sockets is the system's work
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

// The file holds requests, each behind its length and a line feed; streams take them in turn.
static char *requests(const char *path, long *size) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path);
  fseek(file, 0, SEEK_END);
  *size = ftell(file);
  rewind(file);
  char *text = malloc(*size + 1);
  if (fread(text, 1, *size, file) != (size_t)*size) fail(path);
  text[*size] = 0;
  return text;
}

int main(int argc, char **argv) {
  if (argc != 8) return fprintf(stderr, "reader PORT REQUESTS-FILE CONNECTIONS EXPECTED LANES RAMP-MS WARM\n"), 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  long size;
  char *text = requests(argv[2], &size), *request = text;
  count = atoi(argv[3]), expected = atoll(argv[4]), lanes = atoi(argv[5]);
  int64_t began = now(), ramp = atoll(argv[6]) * 1000000;
  warm = atoll(argv[7]);
  streams = calloc(count, sizeof *streams);
  int64_t *last = malloc((size_t)count * lanes * sizeof *last);
  memset(last, -1, (size_t)count * lanes * sizeof *last);
  int poll = epoll_create1(0);
  struct epoll_event input = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
  epoll_ctl(poll, EPOLL_CTL_ADD, 0, &input); // its end says: enough
  for (int i = 0; i < count; i++) {
    int64_t early = began + ramp / count * i - now();
    if (early > 0) usleep(early / 1000);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (void *)&to, sizeof to)) fail("connect");
    char *bytes_of;
    long length = strtol(request, &bytes_of, 10);
    if (send(fd, ++bytes_of, length, MSG_NOSIGNAL) != length) fail("send");
    request = bytes_of + length;
    if (request >= text + size) request = text;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    streams[i].fd = fd;
    streams[i].last = last + (size_t)i * lanes;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
  }
  struct epoll_event events[1024];
  for (int64_t told = now();;) {
    int ready = epoll_wait(poll, events, 1024, 250);
    for (int i = 0; i < ready; i++) {
      char rest[64];
      if (events[i].data.u32 != UINT32_MAX) receive(&streams[events[i].data.u32], poll);
      else if (read(0, rest, sizeof rest) <= 0) report();
    }
    if (expected && deliveries >= expected) report();
    if (closed == count) report();
    if (now() - told < 250000000) continue;
    told = now();
    printf("{\"deliveries\":%lld,\"closed\":%d}\n", (long long)deliveries, closed);
    fflush(stdout);
  }
}
