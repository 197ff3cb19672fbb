#pragma once
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// The C library's own module is built without _GNU_SOURCE, so Linux's additions are declared here.

long syscall(long number, ...);
int accept4(int, struct sockaddr *, socklen_t *, int);
int fallocate(int, int, off_t, off_t);
ssize_t copy_file_range(int, off_t *, int, off_t *, size_t, unsigned int);
int pthread_setname_np(pthread_t, const char *);

// accept4(2) with SOCK_NONBLOCK | SOCK_CLOEXEC: the flags are macros over an enum.
static inline int spate_accept(int fd, struct sockaddr *address, socklen_t *length) {
  return accept4(fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

// socket(2), SOCK_STREAM, non-blocking and close-on-exec.
static inline int spate_stream_socket(int domain) {
  return socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

// eventfd(2), a counter, non-blocking and close-on-exec.
static inline int spate_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

// sendmsg(2) of two stretches of memory.
static inline ssize_t spate_send_two(int fd, const void *first, size_t first_count,
                                     const void *second, size_t second_count, int flags) {
  struct iovec parts[2] = {{(void *)first, first_count}, {(void *)second, second_count}};
  struct msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  return sendmsg(fd, &message, flags);
}

// openat2(2): the C library has no wrapper.
static inline int spate_openat2(int directory, const char *path, uint64_t flags,
                                uint64_t resolve) {
  struct open_how how;
  memset(&how, 0, sizeof how);
  how.flags = flags;
  how.resolve = resolve;
  return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

// RESOLVE_* are macros with casts in some headers' versions.
static const uint64_t spate_resolve_beneath = RESOLVE_BENEATH;
static const uint64_t spate_resolve_no_magiclinks = RESOLVE_NO_MAGICLINKS;

// fallocate(2), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE (2 | 1).
static inline int spate_punch_hole(int fd, off_t offset, off_t count) {
  return fallocate(fd, 2 | 1, offset, count);
}

// preadv2(2) with RWF_NOWAIT (8): EAGAIN instead of waiting for a disk. -1 as the offset's high
// half means nothing on 64 bits.
static inline ssize_t spate_pread_nowait(int fd, void *base, size_t count, off_t offset) {
  struct iovec part = {base, count};
  return syscall(SYS_preadv2, fd, &part, 1L, (long)offset, 0L, 8L);
}

// cachestat(2), Linux 6.5: how many pages of a range the page cache has, those still being read
// among them. One number on all architectures; the C library has no wrapper.
static inline int64_t spate_cached_page_count(int fd, off_t offset, off_t count) {
  uint64_t range[2] = {(uint64_t)offset, (uint64_t)count};
  uint64_t found[5];
  if (syscall(451, fd, range, found, 0u) != 0) return -1;
  return (int64_t)found[0];
}

// fstatfs(2): whether the file lies in memory (tmpfs, ramfs); -1 when it cannot tell.
static inline int spate_lies_in_memory(int fd) {
  struct statfs status;
  if (fstatfs(fd, &status) != 0) return -1;
  uint32_t type = (uint32_t)status.f_type;
  return type == 0x01021994u || type == 0x858458f6u;
}

// ioctl(2) TIOCGWINSZ: variadic.
static inline int spate_terminal_columns(int fd) {
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) return -1;
  return size.ws_col;
}

// open(2) and fcntl(2) are variadic.
static inline int spate_open(const char *path, int flags, mode_t mode) {
  return open(path, flags, mode);
}

static inline int spate_duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

// getrlimit(2)/setrlimit(2) take an enum in some headers and an int in others.
static inline int spate_get_open_file_limit(struct rlimit *limit) {
  return getrlimit(RLIMIT_NOFILE, limit);
}
static inline int spate_set_open_file_limit(const struct rlimit *limit) {
  return setrlimit(RLIMIT_NOFILE, limit);
}
static inline int spate_resource_usage(struct rusage *usage) {
  return getrusage(RUSAGE_SELF, usage);
}

// sigaction(2): the handler is one member of a union behind a macro.
static inline int spate_handle_signal(int number, void (*handler)(int)) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  return sigaction(number, &action, 0);
}
static inline int spate_ignore_signal(int number) { return spate_handle_signal(number, SIG_IGN); }
static inline int spate_default_signal(int number) { return spate_handle_signal(number, SIG_DFL); }

// The address families and flags below are enums or macros of differing types.
static const int spate_msg_nosignal = MSG_NOSIGNAL;
static const int spate_msg_more = MSG_MORE;
static const int spate_tcp_notsent_lowat = 25;
