/* Players of low-latency HLS: very many in one process, each on a connection of its own that is kept.
 *
 * usage: hls_crowd ADDRESS PORT BASE SEGMENT_PARTS BLOCKING FIRST_DUE_NS PART_NS
 *   BASE          path of the directory of a rendition: BASE/live.m3u8 and the parts that it names
 *   BLOCKING      1: a reload asks for the next part and waits at the server; 0: it is made at a `release`
 *   FIRST_DUE_NS  CLOCK_MONOTONIC at which part 0 of segment 0 is whole; each other is so PART_NS after the one before
 *
 * A player reloads the playlist, takes every part that it has not had, and reloads. It begins with the newest part.
 *
 * Commands are lines on stdin; the end of stdin ends the crowd. Each but `release` is answered by a line of JSON:
 *   join COUNT AT_ONCE   COUNT more players, at most AT_ONCE of them still without a part
 *   mark                 what all players got since the last mark, and how late the parts were
 *   release              there is a new playlist
 *
 * What a player should not get (another status than 200, a reload answered early) ends the crowd with a reason on
 * stderr. Between two batches of events the crowd sleeps for NAP_NS, as crowd.c does and says why.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PLAYERS_MAX 19500
#define PLAYERS_A_SOURCE 1000 /* source addresses, so that the ports of one do not run out */
#define ANSWER_BYTES_MAX 32768
#define LATE_MAX (1 << 20) /* parts between two marks whose lateness is kept */
#define EVENTS 1024
#define NAP_NS 1000000
#define DIALS_A_TURN 64
#define COMMAND_BYTES_MAX 128
#define STDIN_TAG UINT32_MAX

enum state { CONNECTING, RELOADING, TAKING, WAITING };

/* Parts are counted through: part p of segment m is number m * SEGMENT_PARTS + p. */
struct player {
    int fd;
    enum state state;
    int64_t next, listed; /* -1: none yet */
    uint64_t releases;    /* that there had been when it reloaded last */
    uint64_t parts, marked_parts;
    size_t filled;
    char *answer;
};

static struct player players[PLAYERS_MAX];
static uint32_t count, next_fresh, joined, at_once;
static uint64_t join_ns, releases, reloads, bytes;
static int64_t segment_parts, first_due_ns, part_ns;
static int epoll_fd, blocking;
static struct sockaddr_in server;
static const char *base;
static uint32_t late_us[LATE_MAX];
static size_t late_count;

static void die(const char *what) {
    fprintf(stderr, "hls_crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void refuse(const char *what, const struct player *one) {
    fprintf(stderr, "hls_crowd: %s; listed %" PRId64 ", wanted %" PRId64 ": %.300s\n", what, one->listed, one->next,
            one->answer);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void send_request(struct player *one, const char *name, const char *query) {
    char request[1024];
    int size = snprintf(request, sizeof request, "GET %s/%s%s HTTP/1.1\r\nHost: bench\r\n\r\n", base, name, query);
    if (send(one->fd, request, (size_t)size, MSG_NOSIGNAL) != size) die("send");
    one->filled = 0;
}

static void reload(struct player *one) {
    char query[64] = "";
    if (blocking && one->next >= 0)
        snprintf(query, sizeof query, "?_HLS_msn=%" PRId64 "&_HLS_part=%" PRId64, one->next / segment_parts,
                 one->next % segment_parts);
    one->state = RELOADING;
    one->releases = releases;
    reloads++;
    send_request(one, "live.m3u8", query);
}

static void take(struct player *one) {
    char name[64];
    snprintf(name, sizeof name, "s%" PRId64 "p%" PRId64 ".m4s", one->next / segment_parts, one->next % segment_parts);
    one->state = TAKING;
    send_request(one, name, "");
}

/* What comes after an answer. */
static void go_on(struct player *one) {
    if (one->next <= one->listed) take(one);
    else if (blocking || one->releases != releases) reload(one);
    else one->state = WAITING;
}

static int64_t newest_part(const char *playlist) {
    int64_t msn, part, newest = -1;
    for (const char *at = playlist; (at = strstr(at, "#EXT-X-PART:")); at++) {
        const char *uri = strstr(at, "URI=\"s");
        if (uri && sscanf(uri, "URI=\"s%" SCNd64 "p%" SCNd64, &msn, &part) == 2) newest = msn * segment_parts + part;
    }
    return newest;
}

static void reloaded(struct player *one, const char *playlist) {
    one->listed = newest_part(playlist);
    if (one->listed < 0) refuse("a playlist without parts", one);
    if (one->next < 0) one->next = one->listed;
    if (blocking && one->listed < one->next) refuse("a reload was answered early", one);
}

static void report_join(void) {
    printf("{\"joined\": %u, \"all_ms\": %.3f}\n", joined, (now_ns() - (int64_t)join_ns) / 1e6);
}

static void taken(struct player *one) {
    int64_t late = now_ns() - (first_due_ns + one->next * part_ns);
    if (late_count < LATE_MAX) late_us[late_count++] = late > 0 ? (uint32_t)(late / 1000) : 0;
    one->next++;
    if (one->parts++ == 0 && ++joined == count) report_join();
}

/* -> the body, once an answer is whole; NULL before. */
static const char *whole(const struct player *one) {
    const char *end = strstr(one->answer, "\r\n\r\n"), *length = strcasestr(one->answer, "\r\ncontent-length:");
    if (!end) return NULL;
    if (strncmp(one->answer, "HTTP/1.1 200", 12)) refuse("refused", one);
    if (!length || length > end) refuse("an answer without length", one);
    size_t size = (size_t)(end + 4 - one->answer) + strtoul(length + 17, NULL, 10);
    if (size >= ANSWER_BYTES_MAX) refuse("too long an answer", one);
    return one->filled >= size ? end + 4 : NULL;
}

static void read_answer(struct player *one) {
    ssize_t size = recv(one->fd, one->answer + one->filled, ANSWER_BYTES_MAX - 1 - one->filled, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) refuse("closed", one);
    one->filled += (size_t)size;
    one->answer[one->filled] = 0;
    bytes += (uint64_t)size;
    const char *body = whole(one);
    if (!body) return;
    if (one->state == RELOADING) reloaded(one, body);
    else taken(one);
    go_on(one);
}

static void dial(uint32_t index) {
    struct player *one = &players[index];
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = index};
    struct sockaddr_in source = {.sin_family = AF_INET};
    int on = 1;
    source.sin_addr.s_addr = htonl(0x7f000002u + index / PLAYERS_A_SOURCE);
    one->next = one->listed = -1;
    one->answer = calloc(1, ANSWER_BYTES_MAX);
    one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!one->answer || one->fd < 0) die("socket");
    setsockopt(one->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(one->fd, (struct sockaddr *)&source, sizeof source)) die("bind");
    if (connect(one->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) die("connect");
    one->state = CONNECTING;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, one->fd, &event)) die("epoll_ctl");
}

static void dial_more(void) {
    for (int i = 0; i < DIALS_A_TURN && next_fresh < count && next_fresh - joined < at_once; i++) dial(next_fresh++);
}

static void begin(uint32_t index) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, players[index].fd, &event)) die("epoll_ctl");
    reload(&players[index]);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The lateness below which `share` of the parts came. */
static double late_ms(double share) {
    return late_count ? late_us[(size_t)(share * (double)(late_count - 1))] / 1e3 : 0;
}

static void report_mark(void) {
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t parts = players[i].parts - players[i].marked_parts;
        if (parts < least) least = parts;
        if (parts > most) most = parts;
        players[i].marked_parts = players[i].parts;
    }
    qsort(late_us, late_count, sizeof *late_us, ascending);
    printf("{\"players\": %u, \"parts_min\": %" PRIu64 ", \"parts_max\": %" PRIu64 ", \"reloads\": %" PRIu64
           ", \"bytes\": %" PRIu64 ", \"late_ms_p50\": %.3f, \"late_ms_p99\": %.3f, \"late_ms_max\": %.3f}\n",
           count, count ? least : 0, most, reloads, bytes, late_ms(0.5), late_ms(0.99), late_ms(1.0));
    reloads = bytes = late_count = 0;
}

static void release(void) {
    releases++;
    for (uint32_t i = 0; i < count; i++)
        if (players[i].state == WAITING) reload(&players[i]);
}

static void join(uint32_t more, uint32_t limit) {
    count += more < PLAYERS_MAX - count ? more : PLAYERS_MAX - count;
    at_once = limit;
    join_ns = (uint64_t)now_ns();
    dial_more();
}

static void obey(const char *line) {
    uint32_t more, limit;
    if (sscanf(line, "join %u %u", &more, &limit) == 2) join(more, limit);
    else if (!strcmp(line, "mark")) report_mark();
    else if (!strcmp(line, "release")) release();
}

/* Lines as they come: a release may stand behind another command. */
static void read_commands(void) {
    static char lines[COMMAND_BYTES_MAX];
    static size_t filled;
    ssize_t size = read(STDIN_FILENO, lines + filled, sizeof lines - 1 - filled);
    if (size <= 0) exit(0);
    filled += (size_t)size;
    lines[filled] = 0;
    for (char *end; (end = strchr(lines, '\n'));) {
        *end = 0;
        obey(lines);
        filled -= (size_t)(end + 1 - lines);
        memmove(lines, end + 1, filled + 1);
    }
}

static void handle(uint32_t index) {
    if (index == STDIN_TAG) read_commands();
    else if (players[index].state == CONNECTING) begin(index);
    else read_answer(&players[index]);
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
    if (argc != 8) {
        fprintf(stderr, "usage: hls_crowd ADDRESS PORT BASE SEGMENT_PARTS BLOCKING FIRST_DUE_NS PART_NS\n");
        return 2;
    }
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = inet_addr(argv[1]);
    server.sin_port = htons((uint16_t)atoi(argv[2]));
    base = argv[3];
    segment_parts = atoll(argv[4]);
    blocking = atoi(argv[5]);
    first_due_ns = atoll(argv[6]);
    part_ns = atoll(argv[7]);
    raise_limit();
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input)) die("stdin");
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS, next_fresh < count && next_fresh - joined < at_once ? 0 : -1);
        for (int i = 0; i < ready; i++) handle(events[i].data.u32);
        dial_more();
        if (joined == count) clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    }
}
