/* A crowd: very many HTTP listeners in one process, which read, count and time what they get.
 *
 * usage: crowd ADDRESS PORT PATHS RCVBUF
 *   PATHS   file with one request path a line; listener i asks for line i (modulo the lines)
 *   RCVBUF  SO_RCVBUF of every listener, 0 for the kernel's choice
 *
 * Commands are lines on stdin, each answered by one line of JSON on stdout; the end of stdin ends the crowd:
 *   join COUNT AT_ONCE   open COUNT connections, at most AT_ONCE of them still without a first byte
 *   mark                 bytes and worst gaps of every listener since the last mark
 *   deaf                 read no more from anybody
 *
 * Between two batches of events the crowd sleeps for NAP_NS. Listeners on a network do not wake anybody on the server's
 * machine; without the nap nearly every send would pay for waking this process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LISTENERS_MAX 19500 /* of one process */
#define SOURCES 16          /* source addresses: above about 14,000 connections from one, the kernel's search slows down */
#define RETRIES_MAX 20      /* of one listener, before it counts as failed */
#define EVENTS 1024
#define NAP_NS 1000000
#define DIALS_A_TURN 64 /* between two looks at what has come */
#define READ_BYTES 65536
#define STDIN_TAG UINT32_MAX

enum state { FRESH, CONNECTING, WAITING, READING, GONE };

struct listener {
    int fd;
    enum state state;
    int retries;
    uint64_t asked_ns, first_ns, last_ns, worst_gap_ns;
    uint64_t bytes, marked_bytes;
};

static struct listener crowd[LISTENERS_MAX];
static uint32_t count, next_fresh, in_flight, at_once, closed;
static uint32_t batch_start, batch_left, batch_failed, batch_retries;
static uint64_t batch_ns;
static int epoll_fd, rcvbuf;
static struct sockaddr_in server;
static char **paths;
static size_t path_count;

static void die(const char *what) {
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The value below which `share` of the sorted `values` lie. */
static uint64_t quantile(const uint64_t *values, size_t size, double share) {
    return size ? values[(size_t)(share * (double)(size - 1))] : 0;
}

static void read_paths(const char *name) {
    FILE *file = fopen(name, "r");
    char line[512];
    if (!file) die(name);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        paths = realloc(paths, (path_count + 1) * sizeof *paths);
        paths[path_count++] = strdup(line);
    }
    fclose(file);
    if (!path_count) die("no paths");
}

static void watch(uint32_t index, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.u32 = index};
    if (epoll_ctl(epoll_fd, how, crowd[index].fd, &event)) die("epoll_ctl");
}

static int open_socket(uint32_t index) {
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in source = {.sin_family = AF_INET};
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (rcvbuf) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    source.sin_addr.s_addr = htonl(0x7f000100u + 1 + index % SOURCES);
    if (bind(fd, (struct sockaddr *)&source, sizeof source)) die("bind");
    return fd;
}

/* -> whether the socket took it, as it does once it is connected */
static int send_request(uint32_t index) {
    char request[1024];
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: bench\r\nUser-Agent: crowd\r\n\r\n",
                        paths[index % path_count]);
    return send(crowd[index].fd, request, (size_t)size, MSG_NOSIGNAL) == size;
}

static void dial(uint32_t index) {
    struct listener *one = &crowd[index];
    one->fd = open_socket(index);
    one->state = CONNECTING;
    if (!one->asked_ns) one->asked_ns = now_ns();
    if (connect(one->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) die("connect");
    one->state = send_request(index) ? WAITING : CONNECTING; /* loopback is often connected by now */
    watch(index, one->state == WAITING ? EPOLLIN : EPOLLOUT, EPOLL_CTL_ADD);
}

static void report_join(void) {
    static uint64_t waits[LISTENERS_MAX];
    size_t size = 0;
    uint64_t last = batch_ns;
    for (uint32_t i = batch_start; i < count; i++) {
        if (crowd[i].state != READING) continue;
        waits[size++] = crowd[i].first_ns - crowd[i].asked_ns;
        if (crowd[i].first_ns > last) last = crowd[i].first_ns;
    }
    qsort(waits, size, sizeof *waits, ascending);
    printf("{\"joined\": %zu, \"failed\": %u, \"retries\": %u, \"first_byte_ms_p50\": %.3f, \"first_byte_ms_p99\": %.3f, "
           "\"first_byte_ms_max\": %.3f, \"all_ms\": %.3f}\n",
           size, batch_failed, batch_retries, quantile(waits, size, 0.5) / 1e6, quantile(waits, size, 0.99) / 1e6,
           quantile(waits, size, 1.0) / 1e6, (last - batch_ns) / 1e6);
}

static void settle(void) {
    in_flight--;
    if (!--batch_left) report_join();
}

static void dial_more(void) {
    for (int i = 0; i < DIALS_A_TURN && next_fresh < count && in_flight < at_once; i++) {
        in_flight++;
        dial(next_fresh++);
    }
}

static void lose(uint32_t index) {
    struct listener *one = &crowd[index];
    enum state was = one->state;
    close(one->fd);
    one->state = GONE;
    if (was == READING) {
        closed++;
    } else if (one->retries++ < RETRIES_MAX) {
        batch_retries++;
        dial(index);
    } else {
        batch_failed++;
        settle();
    }
}

static void ask(uint32_t index) {
    if (!send_request(index)) {
        lose(index);
        return;
    }
    crowd[index].state = WAITING;
    watch(index, EPOLLIN, EPOLL_CTL_MOD);
}

/* The first bytes of an answer; anything but a 200 is fatal, for no figure can come of it. */
static void begin(struct listener *one, const char *data, ssize_t size) {
    if (size < 12 || memcmp(data + 8, " 200", 4)) {
        fprintf(stderr, "crowd: refused: %.*s\n", (int)(size < 400 ? size : 400), data);
        exit(1);
    }
    one->state = READING;
    one->first_ns = one->last_ns = now_ns();
    settle();
}

static void take(uint32_t index) {
    static char buffer[READ_BYTES];
    struct listener *one = &crowd[index];
    ssize_t size = recv(one->fd, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        lose(index);
        return;
    }
    one->bytes += (uint64_t)size;
    if (one->state == WAITING) {
        begin(one, buffer, size);
        return;
    }
    uint64_t now = now_ns(), gap = now - one->last_ns;
    if (gap > one->worst_gap_ns) one->worst_gap_ns = gap;
    one->last_ns = now;
}

static void report_mark(void) {
    static uint64_t gaps[LISTENERS_MAX];
    size_t size = 0;
    uint64_t least = UINT64_MAX, most = 0, sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct listener *one = &crowd[i];
        if (one->state != READING) continue;
        uint64_t bytes = one->bytes - one->marked_bytes;
        if (bytes < least) least = bytes;
        if (bytes > most) most = bytes;
        sum += bytes;
        gaps[size++] = one->worst_gap_ns;
        one->marked_bytes = one->bytes;
        one->worst_gap_ns = 0;
    }
    qsort(gaps, size, sizeof *gaps, ascending);
    printf("{\"listeners\": %zu, \"closed\": %u, \"bytes_min\": %lu, \"bytes_max\": %lu, \"bytes\": %lu, "
           "\"gap_ms_p50\": %.3f, \"gap_ms_p99\": %.3f, \"gap_ms_max\": %.3f}\n",
           size, closed, size ? least : 0, most, sum, quantile(gaps, size, 0.5) / 1e6, quantile(gaps, size, 0.99) / 1e6,
           quantile(gaps, size, 1.0) / 1e6);
}

static void join(uint32_t more, uint32_t limit) {
    if (more > LISTENERS_MAX - count) more = LISTENERS_MAX - count;
    batch_start = next_fresh = count;
    count += more;
    batch_left = more;
    batch_failed = batch_retries = 0;
    at_once = limit;
    batch_ns = now_ns();
    dial_more();
}

static void go_deaf(void) {
    for (uint32_t i = 0; i < count; i++)
        if (crowd[i].state == READING) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, crowd[i].fd, NULL);
    printf("{\"deaf\": %u}\n", count);
}

static void obey(void) {
    char line[128];
    ssize_t size = read(STDIN_FILENO, line, sizeof line - 1); /* one command at a time: the driver waits for the answer */
    uint32_t more, limit;
    if (size <= 0) exit(0);
    line[size] = 0;
    if (sscanf(line, "join %u %u", &more, &limit) == 2) join(more, limit);
    else if (!strncmp(line, "mark", 4)) report_mark();
    else if (!strncmp(line, "deaf", 4)) go_deaf();
}

static void handle(const struct epoll_event *event) {
    uint32_t index = event->data.u32;
    if (index == STDIN_TAG) {
        obey();
    } else if (crowd[index].state == CONNECTING) {
        if (event->events & (EPOLLERR | EPOLLHUP)) lose(index);
        else ask(index);
    } else {
        take(index);
    }
}

static void raise_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS], input = {.events = EPOLLIN, .data.u32 = STDIN_TAG};
    const struct timespec nap = {.tv_nsec = NAP_NS};
    if (argc != 5) {
        fprintf(stderr, "usage: crowd ADDRESS PORT PATHS RCVBUF\n");
        return 2;
    }
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = inet_addr(argv[1]);
    server.sin_port = htons((uint16_t)atoi(argv[2]));
    read_paths(argv[3]);
    rcvbuf = atoi(argv[4]);
    raise_limit();
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input)) die("stdin");
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS, next_fresh < count && in_flight < at_once ? 0 : -1);
        for (int i = 0; i < ready; i++) handle(&events[i]);
        dial_more();
        if (!in_flight) clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    }
}
