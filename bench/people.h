/* What crowds of listeners have in common: a clock, sockets from several addresses, figures. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "wire.h"

/* Source addresses, the first and how many: above about 14,000 connections from one, the kernel's search slows down. */
static uint32_t first_source = 0x7f000101u, sources = 16;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The value in ms below which `share` of the sorted `values` (ns) lie. */
static double quantile_ms(const uint64_t *values, size_t size, double share) {
    return size ? (double)values[(size_t)(share * (double)(size - 1))] / 1e6 : 0;
}

/* -> JSON members NAME_p50, _p99, _p9999, _max of `values`, which get sorted */
static const char *spread(const char *name, uint64_t *values, size_t size) {
    static char text[256];
    qsort(values, size, sizeof *values, ascending);
    snprintf(text, sizeof text, "\"%s_p50\": %.3f, \"%s_p99\": %.3f, \"%s_p9999\": %.3f, \"%s_max\": %.3f", name,
             quantile_ms(values, size, 0.5), name, quantile_ms(values, size, 0.99), name,
             quantile_ms(values, size, 0.9999), name, quantile_ms(values, size, 1.0));
    return text;
}

/* A socket that does not block, for the listener of that number. `rcvbuf` 0: the kernel's choice */
static int open_socket(uint32_t index, int rcvbuf) {
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in source = {.sin_family = AF_INET};
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* as browsers do: the request does not wait for an ACK */
    if (rcvbuf) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    source.sin_addr.s_addr = htonl(first_source + index % sources);
    if (bind(fd, (struct sockaddr *)&source, sizeof source)) die("bind");
    return fd;
}

static void raise_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}
