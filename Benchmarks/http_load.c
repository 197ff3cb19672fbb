/* GET requests for one path, as fast as a server answers them: the cheap half of a measurement.

     http_load ADDRESS PORT PATH CONNECTIONS SECONDS CLOSES

   CLOSES 1 for a new connection each. One thread, so that one core carries it. Responses after the
   first are counted and thrown away inside the kernel (MSG_TRUNC), so that what this program costs
   is not what limits the server; one in CHECKED is read and compared with the first one's length and
   status all the same. It prints one JSON object. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 8192, CHECKED = 64, EVENTS = 256 };

struct connection {
  int socket;
  unsigned turn;
  /* Of the response that is arriving; `whole` is 0 until its head was read. */
  uint64_t received, whole;
  int is_checked;
};

static struct sockaddr_in server;
static char request[1024];
static size_t request_count;
static int poller, closes;
/* Every response is as long as the first one, whose length counts its head. */
static uint64_t expected;
static uint64_t response_count, byte_count, error_count;

static void give_up(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void ask(struct connection *c) {
  c->received = 0;
  c->is_checked = !expected || c->turn % CHECKED == 0;
  c->whole = c->is_checked ? 0 : expected;
  c->turn++;
  ssize_t count = send(c->socket, request, request_count, MSG_NOSIGNAL);
  if (count != (ssize_t)request_count && errno != EPIPE && errno != ECONNRESET) give_up("send");
}

static void open_connection(struct connection *c) {
  c->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (c->socket < 0) give_up("socket");
  int on = 1;
  setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  /* Over loopback the server's end of the handshake is done when this returns. */
  if (connect(c->socket, (struct sockaddr *)&server, sizeof server) != 0) give_up("connect");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, c->socket, &event) != 0) give_up("epoll_ctl");
}

static void ended(struct connection *c) {
  close(c->socket);
  open_connection(c);
  ask(c);
}

/* The head of a response that is looked at, and what came with it. */
static void read_head(struct connection *c) {
  static char head[HEAD_MAX + 1];
  ssize_t count = recv(c->socket, head, HEAD_MAX, MSG_DONTWAIT);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    error_count++;
    return ended(c);
  }
  head[count] = 0;
  char *end = strstr(head, "\r\n\r\n");
  char *length = strcasestr(head, "\r\ncontent-length:");
  if (!end || !length || strncmp(head + 8, " 200", 4) != 0) {
    fprintf(stderr, "not a whole response: %.200s\n", head);
    exit(1);
  }
  c->received = (uint64_t)count;
  c->whole = (uint64_t)(end + 4 - head) + strtoull(length + 17, 0, 10);
  if (!expected) expected = c->whole;
  if (c->whole != expected) error_count++;
}

static void answered(const struct connection *c) {
  response_count++;
  byte_count += c->received;
}

static void readable(struct connection *c) {
  if (!c->whole) {
    read_head(c);
  } else {
    ssize_t count = recv(
        c->socket, 0, c->whole - c->received + (closes ? 1 : 0), MSG_TRUNC | MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      if (c->received == c->whole && closes) answered(c); else error_count++;
      return ended(c);
    }
    c->received += (uint64_t)count;
  }
  if (closes || !c->whole || c->received < c->whole) return;
  answered(c);
  ask(c);
}

int main(int count, char **words) {
  if (count != 7) return 2;
  server.sin_family = AF_INET;
  server.sin_port = htons((uint16_t)atoi(words[2]));
  inet_pton(AF_INET, words[1], &server.sin_addr);
  int connection_count = atoi(words[4]);
  double seconds = atof(words[5]);
  closes = atoi(words[6]);
  request_count = (size_t)snprintf(
      request, sizeof request, "GET /%s HTTP/1.1\r\nHost: %s:%s\r\n%s\r\n", words[3], words[1],
      words[2], closes ? "Connection: close\r\n" : "");
  struct connection *connections = calloc((size_t)connection_count, sizeof *connections);
  if (!connections) give_up("calloc");
  poller = epoll_create1(0);
  for (int i = 0; i < connection_count; i++) {
    connections[i].turn = (unsigned)i;
    open_connection(&connections[i]);
  }
  /* A connect that had to be tried again is not part of what is measured. */
  double started = now(), time = started;
  for (int i = 0; i < connection_count; i++) ask(&connections[i]);
  struct epoll_event events[EVENTS];
  while ((time = now()) - started < seconds) {
    int ready = epoll_wait(poller, events, EVENTS, 100);
    for (int i = 0; i < ready; i++) readable(events[i].data.ptr);
  }
  printf(
      "{\"responses\": %llu, \"errors\": %llu, \"seconds\": %.4f, \"bytes\": %llu}\n",
      (unsigned long long)response_count, (unsigned long long)error_count, time - started,
      (unsigned long long)byte_count);
  return 0;
}
