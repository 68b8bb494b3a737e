/* A crowd: very many HTTP listeners in one process, which read, count, compare and time what they get.
 *
 * usage: crowd ADDRESS PORT PATHS RCVBUF WIRE [SOURCE COUNT]
 *   PATHS   file with one request path a line; listener i asks for line i (modulo the lines)
 *   RCVBUF  SO_RCVBUF of every listener, 0 for the kernel's choice
 *   WIRE    plain; tls: TLS 1.3, each connection a full handshake; resume: each goes on from the last ticket seen
 *   SOURCE  the first of COUNT addresses that listeners come from; without, they are of loopback
 *
 * Commands are lines on stdin, each answered by one line of JSON on stdout; the end of stdin ends the crowd:
 *   join COUNT AT_ONCE         open COUNT connections, at most AT_ONCE of them still without a first byte
 *   rate PER_S COUNT BYTES     open COUNT connections, PER_S a second whatever comes back; each leaves once it has BYTES
 *                              bytes (0: all stay)
 *   shake MS AT_ONCE           for MS milliseconds AT_ONCE connections again and again: handshake, close_notify, end
 *   mark                       bytes and worst gaps of every listener since the last mark
 *   follow FILE                from here on everybody is to get the chunks in FILE: for each its due time (CLOCK_MONOTONIC,
 *                              ns, u64), its size (u64), its bytes
 *   followed                   whether they did, and how late
 *   deaf                       read no more from anybody
 *
 * Between two batches of events the crowd sleeps for NAP_NS. Listeners on a network do not wake anybody on the server's
 * machine; without the nap nearly every send would pay for waking this process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "people.h"

#define LISTENERS_MAX 19500   /* of one process */
#define ARRIVALS_MAX 200000   /* of one `rate` */
#define CHUNKS_MAX 1024       /* of one `follow` */
#define RETRIES_MAX 20        /* of one listener, before it counts as failed */
#define DRAIN_NS 10000000000u /* after the last arrival: so long may answers take */
#define EVENTS 1024
#define NAP_NS 1000000
#define NAP_RATE_NS 100000 /* while connections are opened at a rate: so late may one be */
#define DIAL_LATE_NS 10000000 /* behind its time, and a connection counts as opened late */
#define DIALS_A_TURN 64 /* between two looks at what has come */
#define READ_BYTES 65536
#define STDIN_TAG UINT32_MAX

enum state { FRESH, CONNECTING, SHAKING, WAITING, READING, PARTING, GONE };
enum task { NOTHING, JOIN, RATE, SHAKE };

struct listener {
    struct wire wire;
    enum state state;
    enum task task; /* that opened it */
    int retries, wrong;
    uint64_t asked_ns, first_ns, last_ns, worst_gap_ns;
    uint64_t bytes, marked_bytes;
    uint64_t followed_bytes, worst_late_ns;
    uint32_t followed_chunks;
};

struct chunk {
    uint64_t due_ns, end; /* end: bytes of the stream up to here */
};

static struct listener crowd[LISTENERS_MAX];
static uint32_t count, in_flight, closed;
static uint32_t free_slots[LISTENERS_MAX], free_count; /* whose listener has left */
static int epoll_fd, rcvbuf;
static struct sockaddr_in server;
static char **paths;
static size_t path_count;

/* what is going on, and how far it is; `waits` to the first byte are of answered connections */
static enum task task;
static uint32_t wanted, begun, answered, failed, retried, resumed, late_dials, at_once, batch_start;
static uint64_t began_ns, until_ns, period_ns, leave_bytes, worst_dial_ns, waits[ARRIVALS_MAX];

static char *stream; /* what everybody is to get */
static uint64_t stream_bytes;
static struct chunk chunks[CHUNKS_MAX];
static uint32_t chunk_count;

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
    if (epoll_ctl(epoll_fd, how, crowd[index].wire.fd, &event)) die("epoll_ctl");
}

/* -> whether the socket took it, as it does once it is connected */
static int send_request(uint32_t index) {
    char request[1024];
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: bench\r\nUser-Agent: crowd\r\n\r\n",
                        paths[index % path_count]);
    return wire_write(&crowd[index].wire, request, size);
}

static void dial(uint32_t index) {
    struct listener *one = &crowd[index];
    one->wire.fd = open_socket(index, rcvbuf);
    one->state = CONNECTING;
    if (!one->asked_ns) one->asked_ns = now_ns();
    if (connect(one->wire.fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) die("connect");
    if (!tls && send_request(index)) one->state = WAITING; /* loopback is often connected by now */
    watch(index, one->state == WAITING ? EPOLLIN : EPOLLOUT, EPOLL_CTL_ADD);
}

/* Tasks: many connections of one kind, and a report when the last of them is settled. */

static void report_join(void) {
    size_t size = 0;
    uint64_t last = began_ns;
    for (uint32_t i = batch_start; i < count; i++) {
        if (crowd[i].state != READING) continue;
        waits[size++] = crowd[i].first_ns - crowd[i].asked_ns;
        if (crowd[i].first_ns > last) last = crowd[i].first_ns;
    }
    printf("{\"joined\": %zu, \"failed\": %u, \"retries\": %u, \"suite\": \"%s\", %s, \"all_ms\": %.3f}\n", size, failed,
           retried, suite, spread("first_byte_ms", waits, size), (double)(last - began_ns) / 1e6);
}

static void report_rate(void) {
    printf("{\"arrived\": %u, \"answered\": %u, \"closed\": %u, \"resumed\": %u, \"suite\": \"%s\", %s, "
           "\"dial_late_ms_max\": %.3f, \"late_dials\": %u, \"all_ms\": %.3f}\n",
           begun, answered, closed, resumed, suite, spread("first_byte_ms", waits, answered),
           (double)worst_dial_ns / 1e6, late_dials, (double)(now_ns() - began_ns) / 1e6);
}

static void report_shake(void) {
    printf("{\"shaken\": %u, \"resumed\": %u, \"failed\": %u, \"suite\": \"%s\", \"all_ms\": %.3f}\n", answered, resumed,
           failed, suite, (double)(now_ns() - began_ns) / 1e6);
}

static void start_task(enum task kind, uint32_t connections) {
    task = kind;
    wanted = connections;
    begun = answered = failed = retried = resumed = late_dials = 0;
    worst_dial_ns = 0;
    began_ns = now_ns();
}

/* Report and rest once nothing is left to be begun or to be settled. */
static void end_task(void) {
    if (task == NOTHING || in_flight || begun < wanted) return;
    enum task ended = task;
    task = NOTHING;
    if (ended == JOIN) report_join();
    else if (ended == RATE) report_rate();
    else report_shake();
}

static uint32_t take_slot(void) {
    if (!free_count && count == LISTENERS_MAX) {
        fprintf(stderr, "crowd: more than %u connections at once\n", LISTENERS_MAX);
        exit(1);
    }
    uint32_t index = free_count ? free_slots[--free_count] : count++;
    memset(&crowd[index], 0, sizeof crowd[index]);
    crowd[index].task = task;
    return index;
}

static void leave_slot(uint32_t index) {
    wire_close(&crowd[index].wire);
    crowd[index].state = GONE;
    free_slots[free_count++] = index;
}

static void begin_one(void) {
    begun++;
    in_flight++;
    dial(take_slot());
}

/* -> whether another connection is to be opened now */
static int due(uint64_t now) {
    if (begun == wanted) return 0;
    if (task == RATE) return now >= began_ns + begun * period_ns;
    return in_flight < at_once;
}

static void note_dial(uint64_t late_ns) {
    late_dials += late_ns > DIAL_LATE_NS;
    if (late_ns > worst_dial_ns) worst_dial_ns = late_ns;
}

static void dial_more(void) {
    uint64_t now = now_ns();
    if (task == SHAKE && now >= until_ns) wanted = begun;
    for (int i = 0; i < DIALS_A_TURN && due(now); i++) {
        if (task == RATE) note_dial(now - began_ns - begun * period_ns);
        begin_one();
        now = now_ns();
    }
    end_task();
}

/* Whoever has no answer so long after the last arrival counts as without one; a crowd is of no use after that. */
static void give_up(void) {
    if (task != RATE || begun < wanted || now_ns() < began_ns + wanted * period_ns + DRAIN_NS) return;
    in_flight = 0;
    end_task();
}

/* One listener. */

static void lose(uint32_t index) {
    struct listener *one = &crowd[index];
    if (one->state == READING) {
        leave_slot(index);
        closed++;
        if (one->task == RATE && leave_bytes) in_flight--; /* the server cut it short */
    } else if (one->task == JOIN && one->retries++ < RETRIES_MAX) {
        wire_close(&one->wire);
        retried++;
        dial(index);
    } else {
        leave_slot(index);
        failed++;
        in_flight--;
    }
}

static void expect(uint32_t index, enum state state, uint32_t events) {
    crowd[index].state = state;
    watch(index, events, EPOLL_CTL_MOD);
}

static void ask(uint32_t index) {
    if (send_request(index)) expect(index, WAITING, EPOLLIN);
    else lose(index);
}

/* The handshake is through. */
static void secured(uint32_t index) {
    struct listener *one = &crowd[index];
    resumed += (uint32_t)SSL_session_reused(one->wire.ssl);
    if (one->task != SHAKE) {
        ask(index);
        return;
    }
    SSL_shutdown(one->wire.ssl);
    expect(index, PARTING, EPOLLIN);
}

static void shake(uint32_t index) {
    if (wire_shake(&crowd[index].wire) == 1) secured(index);
    else if (errno == EAGAIN) expect(index, SHAKING, EPOLLIN);
    else lose(index);
}

static void connected(uint32_t index, uint32_t events) {
    if (events & (EPOLLERR | EPOLLHUP)) {
        lose(index);
    } else if (tls) {
        wire_secure(&crowd[index].wire);
        shake(index);
    } else {
        ask(index);
    }
}

/* After close_notify: tickets may still come, then the end. */
static void part(uint32_t index) {
    char rest[1024];
    ssize_t size = wire_read(&crowd[index].wire, rest, sizeof rest);
    if (size > 0 || (size < 0 && errno == EAGAIN)) return;
    if (size < 0) {
        lose(index);
        return;
    }
    leave_slot(index);
    answered++;
    in_flight--;
}

/* The first bytes of an answer; anything but a 200 is fatal, for no figure can come of it. */
static void begin(struct listener *one, const char *data, ssize_t size) {
    if (size < 12 || memcmp(data + 8, " 200", 4)) {
        fprintf(stderr, "crowd: refused: %.*s\n", (int)(size < 400 ? size : 400), data);
        exit(1);
    }
    one->state = READING;
    one->first_ns = one->last_ns = now_ns();
    if (one->task == RATE) waits[answered++] = one->first_ns - one->asked_ns;
    if (one->task != RATE || !leave_bytes) in_flight--;
}

static void compare(struct listener *one, const char *data, uint64_t size, uint64_t now) {
    uint64_t left = stream_bytes - one->followed_bytes;
    if (size > left) size = left;
    if (memcmp(stream + one->followed_bytes, data, size)) one->wrong = 1;
    one->followed_bytes += size;
    while (one->followed_chunks < chunk_count && one->followed_bytes >= chunks[one->followed_chunks].end) {
        uint64_t late_ns = now - chunks[one->followed_chunks++].due_ns;
        if (late_ns > one->worst_late_ns) one->worst_late_ns = late_ns;
    }
}

static void took(struct listener *one, const char *data, ssize_t size) {
    uint64_t now = now_ns(), gap = now - one->last_ns;
    one->bytes += (uint64_t)size;
    if (one->state == WAITING) {
        begin(one, data, size);
        return;
    }
    if (gap > one->worst_gap_ns) one->worst_gap_ns = gap;
    one->last_ns = now;
    if (stream) compare(one, data, (uint64_t)size, now);
}

static void take(uint32_t index) {
    static char buffer[READ_BYTES];
    struct listener *one = &crowd[index];
    do {
        ssize_t size = wire_read(&one->wire, buffer, sizeof buffer);
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) {
            lose(index);
            return;
        }
        took(one, buffer, size);
        if (one->task == RATE && leave_bytes && one->bytes >= leave_bytes) {
            leave_slot(index);
            in_flight--;
            return;
        }
    } while (wire_pending(&one->wire));
}

/* Commands. */

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
    printf("{\"listeners\": %zu, \"closed\": %u, \"bytes_min\": %lu, \"bytes_max\": %lu, \"bytes\": %lu, %s}\n", size,
           closed, size ? least : 0, most, sum, spread("gap_ms", gaps, size));
}

static void read_stream(const char *name) {
    FILE *file = fopen(name, "r");
    uint64_t head[2]; /* due, size */
    if (!file) die(name);
    chunk_count = 0;
    stream_bytes = 0;
    while (chunk_count < CHUNKS_MAX && fread(head, sizeof head, 1, file) == 1) {
        stream = realloc(stream, stream_bytes + head[1]);
        if (!stream || fread(stream + stream_bytes, head[1], 1, file) != 1) die("chunk cut short");
        stream_bytes += head[1];
        chunks[chunk_count++] = (struct chunk){head[0], stream_bytes};
    }
    fclose(file);
}

static void follow(const char *name) {
    read_stream(name);
    for (uint32_t i = 0; i < count; i++) {
        crowd[i].followed_bytes = crowd[i].worst_late_ns = 0;
        crowd[i].followed_chunks = 0;
        crowd[i].wrong = 0;
    }
    printf("{\"chunks\": %u}\n", chunk_count);
}

/* `whole`: listeners who have all of it; `wrong`: those of whose bytes any was another. */
static void report_followed(void) {
    static uint64_t lates[LISTENERS_MAX];
    size_t size = 0, whole = 0, wrong = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (crowd[i].state != READING) continue;
        lates[size++] = crowd[i].worst_late_ns;
        whole += crowd[i].followed_bytes == stream_bytes;
        wrong += crowd[i].wrong != 0;
    }
    printf("{\"listeners\": %zu, \"closed\": %u, \"whole\": %zu, \"wrong\": %zu, %s}\n", size, closed, whole, wrong,
           spread("late_ms", lates, size));
}

static void join(uint32_t more, uint32_t limit) {
    if (more > LISTENERS_MAX - count) more = LISTENERS_MAX - count;
    batch_start = count;
    at_once = limit;
    free_count = 0; /* a batch stands in one row */
    start_task(JOIN, more);
}

static void arrive(uint32_t per_s, uint32_t connections, uint64_t bytes) {
    period_ns = 1000000000u / per_s;
    leave_bytes = bytes;
    start_task(RATE, connections < ARRIVALS_MAX ? connections : ARRIVALS_MAX);
}

static void shake_for(uint32_t ms, uint32_t limit) {
    at_once = limit;
    start_task(SHAKE, UINT32_MAX);
    until_ns = began_ns + ms * 1000000ull;
}

static void go_deaf(void) {
    for (uint32_t i = 0; i < count; i++)
        if (crowd[i].state == READING) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, crowd[i].wire.fd, NULL);
    printf("{\"deaf\": %u}\n", count);
}

static void obey(void) {
    char line[512], name[400];
    ssize_t size = read(STDIN_FILENO, line, sizeof line - 1); /* one command at a time: the driver waits for the answer */
    uint32_t a, b;
    uint64_t c;
    if (size <= 0) exit(0);
    line[size] = 0;
    if (sscanf(line, "join %u %u", &a, &b) == 2) join(a, b);
    else if (sscanf(line, "rate %u %u %lu", &a, &b, &c) == 3) arrive(a, b, c);
    else if (sscanf(line, "shake %u %u", &a, &b) == 2) shake_for(a, b);
    else if (!strncmp(line, "followed", 8)) report_followed();
    else if (sscanf(line, "follow %399s", name) == 1) follow(name);
    else if (!strncmp(line, "mark", 4)) report_mark();
    else if (!strncmp(line, "deaf", 4)) go_deaf();
}

static void handle(const struct epoll_event *event) {
    uint32_t index = event->data.u32;
    if (index == STDIN_TAG) {
        obey();
        return;
    }
    switch (crowd[index].state) {
    case CONNECTING: connected(index, event->events); break;
    case SHAKING: shake(index); break;
    case PARTING: part(index); break;
    case GONE: break; /* within this batch */
    default: take(index);
    }
}

static void set_up(char **argv) {
    struct epoll_event input = {.events = EPOLLIN, .data.u32 = STDIN_TAG};
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = inet_addr(argv[1]);
    server.sin_port = htons((uint16_t)atoi(argv[2]));
    read_paths(argv[3]);
    rcvbuf = atoi(argv[4]);
    wire_prepare(argv[5]);
    raise_limit();
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input)) die("stdin");
}

/* Milliseconds that may be slept for the next event: none while something is to be opened at once. */
static int patience_ms(void) {
    if (task == NOTHING) return -1;
    if (task == RATE) return begun < wanted ? 0 : 100;
    return begun < wanted && in_flight < at_once ? 0 : 100;
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    const struct timespec nap = {.tv_nsec = NAP_NS}, short_nap = {.tv_nsec = NAP_RATE_NS};
    if (argc != 6 && argc != 8) {
        fprintf(stderr, "usage: crowd ADDRESS PORT PATHS RCVBUF plain|tls|resume [SOURCE COUNT]\n");
        return 2;
    }
    if (argc == 8) {
        first_source = ntohl(inet_addr(argv[6]));
        sources = (uint32_t)atoi(argv[7]);
    }
    set_up(argv);
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS, patience_ms());
        for (int i = 0; i < ready; i++) handle(&events[i]);
        dial_more();
        give_up();
        if (task == NOTHING || task == RATE)
            clock_nanosleep(CLOCK_MONOTONIC, 0, task == RATE ? &short_nap : &nap, NULL);
    }
}
