/* Announces of many peers to a tracker, as fast as it answers or at a rate: `spate origin` in its
   own binary form, or a BitTorrent tracker over HTTP. One thread, so that one core carries it.

     announce_load KIND ADDRESS PORT IDS PIECES PEERS CONNECTIONS SECONDS RATE CLOSES FIRST

   KIND is spate or torrent; IDS the packages' or the torrent's, in base 16 with commas between: an
   announce has a report of each package; RATE announces a second,
   0 for as many as are answered; CLOSES 1 for a new connection each, and then a server that hangs
   up without saying so does right. FIRST 1: every peer announces once, with its whole bitmap, and that
   is all. Each connection comes from an address of its own,
   127.1.x.y, and is that of every CONNECTIONS-th peer. It prints one JSON object. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
  RUN = 4, IDS_MAX = 64, REPORT_MAX = 1280, HEAD_MAX = 1024, LATENCY_MAX = 1 << 23,
  REQUEST_MAX = HEAD_MAX + IDS_MAX * REPORT_MAX, RESPONSE_MAX = 1 << 18
};

struct connection {
  int socket, number;
  int is_waiting, is_connecting;
  unsigned turn;
  uint64_t due;
  size_t sent, request_count, received;
  char request[REQUEST_MAX];
  char response[RESPONSE_MAX];
};

static int is_torrent, closes, is_first;
static int piece_count, peer_count, connection_count;
static double rate;
static struct sockaddr_in server;
static uint8_t ids[IDS_MAX][32];
static int id_count;
static char escaped_id[100], host[64];
/* How many runs each peer holds. */
static uint16_t *progress;
static uint32_t *latencies;
static size_t latency_count, error_count, byte_count, announce_count, scheduled_count;
static uint64_t started;
static int poller;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void give_up(const char *what) {
  perror(what);
  exit(1);
}

static uint8_t *number(uint8_t *out, uint64_t value) {
  for (; value > 0x7f; value >>= 7) *out++ = (uint8_t)(value & 0x7f) | 0x80;
  *out++ = (uint8_t)value;
  return out;
}

static uint8_t *peer_id(uint8_t *out, uint32_t peer) {
  uint64_t mixed = (peer + 1) * 0x9e3779b97f4a7c15u;
  memcpy(out, &mixed, 8);
  mixed ^= mixed >> 29;
  memcpy(out + 8, &mixed, 8);
  return out + 16;
}

/* The runs a peer gains, one after the other: all of the package, each peer in its own order. */
static unsigned run_of(unsigned peer, unsigned step) {
  unsigned runs = (unsigned)piece_count / RUN;
  return (unsigned)(((uint64_t)step * 619 + (uint64_t)peer * 7919) % runs);
}

static uint8_t *holdings(uint8_t *out, unsigned peer) {
  unsigned runs = (unsigned)piece_count / RUN;
  if (is_first) {
    size_t length = ((size_t)piece_count + 7) / 8;
    memset(out, 0, length);
    for (unsigned step = 0; step < progress[peer]; step++)
      for (unsigned piece = run_of(peer, step) * RUN, last = piece + RUN; piece < last; piece++)
        out[piece / 8] |= (uint8_t)(0x80 >> piece % 8);
    return out + length;
  }
  if (progress[peer] >= runs) return number(out, 0);
  out = number(out, 1);
  out = number(out, (uint64_t)run_of(peer, progress[peer]) * RUN);
  out = number(out, RUN);
  return number(out, 0);
}

static uint8_t *report(uint8_t *out, unsigned peer, const uint8_t *id) {
  memcpy(out, id, 32);
  out = number(out + 32, (uint64_t)piece_count);
  int starts_again = !is_first && progress[peer] >= piece_count / RUN;
  *out++ = is_first ? 1 | 4 : starts_again ? 1 : 0;
  out = number(out, RUN);
  out = number(out, is_first ? 0 : 1000000);
  out = holdings(out, peer);
  out = number(out, is_first ? 0 : 2);
  for (unsigned source = 1; !is_first && source <= 2; source++) {
    out = peer_id(out, (peer * 31 + source * 977 + announce_count + id[0]) % (unsigned)peer_count);
    out = number(out, 262144);
    out = number(out, 20000 + peer % 1000);
  }
  return number(out, 0);
}

static size_t spate_body(uint8_t *body, unsigned peer) {
  uint8_t *out = body;
  memcpy(out, "SP\1\1\0", 5);
  out = peer_id(out + 5, peer);
  *out++ = 0x1a;
  *out++ = 0xe1;
  *out++ = 0;
  out = number(out, 3);
  out = number(out, 8);
  out = number(out, 10000000);
  out = number(out, (uint64_t)id_count);
  for (int i = 0; i < id_count; i++) out = report(out, peer, ids[i]);
  /* Done: a new one comes in its place. */
  if (!is_first && ++progress[peer] > piece_count / RUN) progress[peer] = 0;
  return (size_t)(out - body);
}

static void compose(struct connection *c) {
  unsigned peers = (unsigned)(peer_count / connection_count);
  unsigned turn = c->turn++ % peers;
  unsigned peer = (unsigned)c->number + turn * (unsigned)connection_count;
  const char *keeping = closes ? "close" : "keep-alive";
  int length;
  if (is_torrent) {
    length = snprintf(
        c->request, REQUEST_MAX,
        "GET /announce?info_hash=%s&peer_id=-BE0001-%012u&port=%u&uploaded=0&downloaded=0&left=1"
        "&compact=1&numwant=40 HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n\r\n",
        escaped_id, peer, 1024 + turn, host, keeping);
  } else {
    static uint8_t body[IDS_MAX * REPORT_MAX];
    size_t count = spate_body(body, peer);
    length = snprintf(
        c->request, REQUEST_MAX,
        "POST /-/announce HTTP/1.1\r\nHost: %s\r\nContent-Type: application/vnd.spate\r\n%s"
        "Content-Length: %zu\r\n\r\n", host, closes ? "Connection: close\r\n" : "", count);
    memcpy(c->request + length, body, count);
    length += (int)count;
  }
  c->request_count = (size_t)length;
  c->sent = c->received = 0;
  announce_count++;
}

static void watch(struct connection *c, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(poller, operation, c->socket, &event) != 0) give_up("epoll_ctl");
}

static void open_connection(struct connection *c) {
  c->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->socket < 0) give_up("socket");
  int on = 1;
  setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(c->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  struct sockaddr_in own = {.sin_family = AF_INET};
  own.sin_addr.s_addr = htonl(0x7f010000u + (uint32_t)c->number + 1);
  if (bind(c->socket, (struct sockaddr *)&own, sizeof own) != 0) give_up("bind");
  if (connect(c->socket, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS)
    give_up("connect");
  c->is_connecting = 1;
  watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void close_connection(struct connection *c) {
  if (c->socket < 0) return;
  /* No ports left waiting behind: there are only so many. */
  struct linger at_once = {1, 0};
  setsockopt(c->socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(c->socket);
  c->socket = -1;
}

static void send_rest(struct connection *c) {
  ssize_t count = send(
      c->socket, c->request + c->sent, c->request_count - c->sent, MSG_NOSIGNAL);
  if (count > 0) c->sent += (size_t)count;
}

static void ask(struct connection *c, uint64_t due) {
  c->due = due;
  c->is_waiting = 1;
  compose(c);
  if (c->socket < 0) open_connection(c); else send_rest(c);
}

static void answered(struct connection *c, int is_good) {
  uint64_t latency = (now() - c->due) / 1000;
  if (latency_count < LATENCY_MAX) latencies[latency_count++] = (uint32_t)latency;
  error_count += !is_good;
  byte_count += c->received;
  c->is_waiting = 0;
}

/* 1 when the response is whole. */
static int is_whole(struct connection *c) {
  char *end = memmem(c->response, c->received, "\r\n\r\n", 4);
  if (!end) return 0;
  *end = 0;
  char *length = strcasestr(c->response, "content-length:");
  *end = '\r';
  if (!length) return 0;
  return c->received >= (size_t)(end + 4 - c->response) + strtoul(length + 15, NULL, 10);
}

static void readable(struct connection *c) {
  ssize_t count = recv(
      c->socket, c->response + c->received, RESPONSE_MAX - 1 - c->received, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) c->received += (size_t)count;
  c->response[c->received] = 0;
  int ends = count <= 0;
  if (c->is_waiting && (ends || is_whole(c))) {
    answered(c, c->received > 12 && memcmp(c->response + 8, " 200", 4) == 0);
    ends |= closes || strcasestr(c->response, "connection: close") != NULL;
  }
  if (ends) close_connection(c);
}

static void happened(struct connection *c, uint32_t events) {
  if (c->is_connecting && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
    c->is_connecting = 0;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->socket, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
      errno = error;
      give_up("connect");
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    send_rest(c);
  }
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) readable(c);
}

static int ascending(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return (a > b) - (a < b);
}

static uint32_t percentile(double share) {
  return latency_count ? latencies[(size_t)(share * (double)(latency_count - 1))] : 0;
}

/* Gives idle connections what is due; the answers of those without a rate are due at once. */
static int ask_what_is_due(struct connection *connections, double seconds) {
  int waiting = 0;
  uint64_t time = now();
  int is_over = !is_first && (double)(time - started) / 1e9 >= seconds;
  for (int i = 0; i < connection_count; i++) {
    struct connection *c = &connections[i];
    if (!c->is_waiting && !is_over) {
      if (is_first && c->turn >= (unsigned)(peer_count / connection_count)) continue;
      uint64_t due = time;
      if (rate > 0) {
        due = started + (uint64_t)((double)scheduled_count / rate * 1e9);
        if (due > time) continue;
        scheduled_count++;
      }
      ask(c, due);
    }
    waiting += c->is_waiting;
  }
  return waiting > 0 || (!is_over && !is_first);
}

int main(int count, char **words) {
  if (count != 12) return 2;
  is_torrent = strcmp(words[1], "torrent") == 0;
  server.sin_family = AF_INET;
  server.sin_port = htons((uint16_t)atoi(words[3]));
  inet_pton(AF_INET, words[2], &server.sin_addr);
  snprintf(host, sizeof host, "%s:%s", words[2], words[3]);
  int length = is_torrent ? 20 : 32;
  const char *digits = words[4];
  while (*digits && id_count < IDS_MAX) {
    for (int i = 0; i < length; i++, digits += 2) sscanf(digits, "%2hhx", &ids[id_count][i]);
    id_count++;
    if (*digits == ',') digits++;
  }
  for (int i = 0; is_torrent && i < length; i++) sprintf(escaped_id + 3 * i, "%%%02x", ids[0][i]);
  piece_count = atoi(words[5]);
  peer_count = atoi(words[6]);
  connection_count = atoi(words[7]);
  double seconds = atof(words[8]);
  rate = atof(words[9]);
  closes = atoi(words[10]);
  is_first = atoi(words[11]);
  if (piece_count < RUN || connection_count < 1 || peer_count < connection_count) return 2;
  progress = calloc((size_t)peer_count, sizeof *progress);
  latencies = malloc(LATENCY_MAX * sizeof *latencies);
  struct connection *connections = calloc((size_t)connection_count, sizeof *connections);
  if (!progress || !latencies || !connections) give_up("malloc");
  for (int peer = 0; peer < peer_count; peer++)
    progress[peer] = (uint16_t)(peer * 2654435761u % (unsigned)(piece_count / RUN));
  poller = epoll_create1(0);
  for (int i = 0; i < connection_count; i++) {
    connections[i].number = i;
    connections[i].socket = -1;
  }
  started = now();
  struct epoll_event events[256];
  while (ask_what_is_due(connections, seconds)) {
    int ready = epoll_wait(poller, events, 256, rate > 0 ? 0 : 100);
    for (int i = 0; i < ready; i++) happened(events[i].data.ptr, events[i].events);
  }
  double took = (double)(now() - started) / 1e9;
  qsort(latencies, latency_count, sizeof *latencies, ascending);
  printf(
      "{\"responses\": %zu, \"errors\": %zu, \"seconds\": %.4f, \"bytes\": %zu, \"p50_us\": %u, "
      "\"p99_us\": %u, \"max_us\": %u}\n",
      latency_count, error_count, took, byte_count, percentile(0.5), percentile(0.99),
      percentile(1));
  return 0;
}
