/* Callers: very many listeners in one process, each with an errand of its own: a place, a ticket, the sound. They do
 * what the listener's page does (web/listen/entry.js, room.js, feed.js), without a page.
 *
 * usage: callers DOOR_PORT EDGE_PORT SHOW WIRE HEARD_BYTES
 *   WIRE         plain or tls, as in crowd.c; each request is a connection of its own
 *   HEARD_BYTES  behind the head of an answer: whoever has so many, and something within HEARS_NS, hears
 *
 * Commands are lines on stdin, each answered by one line of JSON on stdout; the end of stdin ends the callers:
 *   call FILE      more callers, a line each: MS STEP STAYS TOKEN. From MS on (ms from now) they ask
 *                    place   how it stands with the place TOKEN; then `join`, once it is its turn
 *                    join    for a ticket, with the place TOKEN, or - without; then `live`
 *                    live    for the sound, with the ticket TOKEN
 *                  STAYS 1: comes back whenever the sound ends or there is none, as the page does: U(0, 2^n) s after the
 *                  nth failure, besides what the server asked for, by the ticket that the edge gave; 0: one attempt, and
 *                  leaves once it hears
 *   mark RANK MS   whose place has at most that rank sees within MS that it is its turn
 *   clear          forget waits, answers and failures so far
 *   look           where everybody is, and waits, answers and failures
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "people.h"

#define CALLERS_MAX 200000
#define WAITS_MAX 200000
#define TOKEN_CHARS 64
#define ANSWER_BYTES_MAX 8192
#define ANSWER_NS 8000000000u /* whoever has no answer by then tries again */
#define HEARS_NS 1500000000u
#define BACKOFF_S_MAX 60.0
#define GO_NS 1e9 /* called at the same look, not all come at once */
#define REASONS_MAX 24
#define REASON_CHARS 32
#define EVENTS 1024
#define TICK_NS 5000000
#define NAP_NS 200000
#define READ_BYTES 65536
#define STDIN_TAG UINT32_MAX

enum state { RESTING, CALLED, CONNECTING, SHAKING, ASKED, READING, WAITING, GONE, STATES };
enum step { PLACE, JOIN, LIVE };

struct caller {
    struct wire wire;
    enum state state;
    enum step step;
    int stays, failures;
    char token[TOKEN_CHARS + 1], *answer; /* answer: while one is awaited */
    size_t filled;
    int64_t rank; /* -1: not known */
    uint64_t due_ns, asked_ns, lost_ns, last_ns, bytes;
};

struct tally {
    char name[REASON_CHARS];
    uint64_t count;
};

static struct caller *callers;
static uint32_t count;
static int epoll_fd;
static struct sockaddr_in door, edge;
static const char *show;
static uint64_t heard_bytes, next_tick_ns, lost, placed, left;
static struct tally tallies[REASONS_MAX];
static uint64_t waits[WAITS_MAX], aways[WAITS_MAX]; /* to the first byte: from the last request; from the loss */
static size_t wait_count, away_count;

static double uniform(double below) { return below * drand48(); }

static void tally(const char *name) {
    for (int i = 0; i < REASONS_MAX; i++) {
        if (!*tallies[i].name) snprintf(tallies[i].name, REASON_CHARS, "%s", name);
        if (strcmp(tallies[i].name, name)) continue;
        tallies[i].count++;
        return;
    }
}

static void watch(uint32_t index, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.u32 = index};
    if (epoll_ctl(epoll_fd, how, callers[index].wire.fd, &event)) die("epoll_ctl");
}

static void expect(uint32_t index, enum state state, uint32_t events) {
    callers[index].state = state;
    watch(index, events, EPOLL_CTL_MOD);
}

static void hang_up(struct caller *one, enum state state) {
    wire_close(&one->wire);
    free(one->answer);
    one->answer = NULL;
    one->state = state;
}

static void rest(struct caller *one, enum state state, double ns) {
    one->state = state;
    one->due_ns = now_ns() + (uint64_t)ns;
}

/* No answer, or one that says no. */
static void fail(struct caller *one, const char *why, double retry_after_s, int for_good) {
    tally(why);
    hang_up(one, GONE);
    if (!one->stays || for_good) return;
    one->failures++;
    double most_s = one->failures < 6 ? (double)(1 << one->failures) : BACKOFF_S_MAX;
    rest(one, RESTING, (retry_after_s + uniform(most_s)) * 1e9);
}

/* The sound has ended. */
static void lose(struct caller *one) {
    lost++;
    hang_up(one, GONE);
    one->lost_ns = now_ns();
    one->failures = 0;
    if (one->stays) rest(one, RESTING, uniform(1e9));
}

static void dial(uint32_t index) {
    struct caller *one = &callers[index];
    const struct sockaddr_in *server = one->step == LIVE ? &edge : &door;
    one->wire.fd = open_socket(index, 0);
    one->asked_ns = now_ns();
    one->filled = 0;
    one->bytes = 0;
    one->answer = malloc(ANSWER_BYTES_MAX + 1);
    one->state = CONNECTING;
    if (connect(one->wire.fd, (const struct sockaddr *)server, sizeof *server) && errno != EINPROGRESS) {
        fail(one, "connect", 0, 0);
        return;
    }
    watch(index, EPOLLOUT, EPOLL_CTL_ADD);
}

static void ask(uint32_t index) {
    struct caller *one = &callers[index];
    char request[512];
    const char *rest_of_head = "HTTP/1.1\r\nHost: bench\r\nUser-Agent: callers\r\n";
    int size = 0;
    if (one->step == LIVE)
        size = snprintf(request, sizeof request, "GET /live/%s/opus %s\r\n", one->token, rest_of_head);
    else if (one->step == PLACE)
        size = snprintf(request, sizeof request, "GET /s/%s/place/%s %s\r\n", show, one->token, rest_of_head);
    else
        size = snprintf(request, sizeof request, "POST /s/%s/join%s%s %sContent-Length: 0\r\n\r\n", show,
                        *one->token ? "?place=" : "", one->token, rest_of_head);
    if (wire_write(&one->wire, request, size)) expect(index, ASKED, EPOLLIN);
    else fail(one, "cut", 0, 0);
}

static void shake(uint32_t index) {
    if (wire_shake(&callers[index].wire) == 1) ask(index);
    else if (errno == EAGAIN) expect(index, SHAKING, EPOLLIN);
    else fail(&callers[index], "handshake", 0, 0);
}

static void connected(uint32_t index, uint32_t events) {
    if (events & (EPOLLERR | EPOLLHUP)) {
        fail(&callers[index], "connect", 0, 0);
    } else if (tls) {
        wire_secure(&callers[index].wire);
        shake(index);
    } else {
        ask(index);
    }
}

/* What follows `name` in an answer, blanks and colon left out; NULL: it has none. */
static const char *after(const char *answer, const char *name) {
    const char *at = strcasestr(answer, name);
    return at ? at + strlen(name) + strspn(at + strlen(name), ": ") : NULL;
}

static void refused(struct caller *one, int status) {
    char reason[REASON_CHARS] = "";
    const char *code = after(one->answer, "\"code\""), *retry = after(one->answer, "\r\nRetry-After");
    if (!code || sscanf(code, "\"%31[^\"]", reason) != 1) snprintf(reason, sizeof reason, "%d", status);
    fail(one, reason, retry ? atof(retry) : 0, status < 500);
}

/* The door's word on a place: a ticket, or how it stands. */
static void told(struct caller *one) {
    const char *ticket = after(one->answer, "\"ticket\""), *rank = after(one->answer, "\"rank\"");
    const char *poll_ms = after(one->answer, "\"next_poll_ms\"");
    enum step asked = one->step;
    one->failures = 0;
    if (ticket) {
        one->step = asked == PLACE ? JOIN : LIVE;
        if (one->step == LIVE) snprintf(one->token, sizeof one->token, "%.*s", TOKEN_CHARS, ticket + 1);
        hang_up(one, CALLED);
        rest(one, CALLED, asked == PLACE ? uniform(GO_NS) : 0);
        return;
    }
    one->rank = rank && *rank != 'n' ? atoll(rank) : -1;
    placed += asked == JOIN;
    double ns = poll_ms ? atof(poll_ms) * (0.8 + uniform(0.4)) * 1e6 : 5e9;
    hang_up(one, one->stays ? WAITING : GONE);
    if (one->rank < 0 && one->stays) rest(one, RESTING, ns); /* the draw is still to come */
    else if (one->stays) one->step = JOIN;
}

/* The head of the sound; with it come the first bytes. */
static void begin(struct caller *one, const char *body) {
    const char *ticket = after(one->answer, "\r\nStentor-Ticket");
    if (ticket) snprintf(one->token, sizeof one->token, "%.*s", TOKEN_CHARS, ticket);
    one->last_ns = now_ns();
    one->bytes = one->filled - (size_t)(body - one->answer);
    one->failures = 0;
    one->state = READING;
    if (wait_count < WAITS_MAX) waits[wait_count++] = one->last_ns - one->asked_ns;
    if (one->lost_ns && away_count < WAITS_MAX) aways[away_count++] = one->last_ns - one->lost_ns;
    free(one->answer);
    one->answer = NULL;
}

/* More of an answer has come, or (`ended`) no more will. */
static void answered(struct caller *one, int ended) {
    one->answer[one->filled] = 0;
    char *body = strstr(one->answer, "\r\n\r\n");
    if (!body) {
        if (ended) fail(one, "cut", 0, 0);
        return;
    }
    int status = atoi(one->answer + 9);
    if (status == 200 && one->step == LIVE) {
        begin(one, body + 4);
        return;
    }
    const char *length = after(one->answer, "\r\nContent-Length");
    if (!ended && one->filled < ANSWER_BYTES_MAX && length && body + 4 + atol(length) > one->answer + one->filled) return;
    if (status == 200 || status == 202) told(one);
    else refused(one, status);
}

static void leave_if_heard(struct caller *one) {
    if (one->stays || one->bytes < heard_bytes) return;
    left++;
    hang_up(one, GONE);
}

static void take(uint32_t index) {
    static char buffer[READ_BYTES];
    struct caller *one = &callers[index];
    do {
        int reads = one->state == READING;
        char *into = reads ? buffer : one->answer + one->filled;
        ssize_t size = wire_read(&one->wire, into, reads ? READ_BYTES : ANSWER_BYTES_MAX - one->filled);
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) {
            if (reads) lose(one);
            else if (size < 0 || !one->filled) fail(one, "cut", 0, 0);
            else answered(one, 1);
            return;
        }
        if (reads) {
            one->bytes += (uint64_t)size;
            one->last_ns = now_ns();
        } else {
            one->filled += (size_t)size;
            answered(one, 0);
        }
        if (one->state == READING) leave_if_heard(one);
    } while ((one->state == READING || one->state == ASKED) && wire_pending(&one->wire));
}

static void tick(void) {
    uint64_t now = now_ns();
    if (now < next_tick_ns) return;
    next_tick_ns = now + TICK_NS;
    for (uint32_t i = 0; i < count; i++) {
        struct caller *one = &callers[i];
        if (one->state <= CALLED && one->due_ns <= now) dial(i);
        else if (one->answer && one->asked_ns + ANSWER_NS < now) fail(one, "silence", 0, 0);
    }
}

/* Commands. */

static void call(const char *name) {
    FILE *file = fopen(name, "r");
    char step[8], token[TOKEN_CHARS + 1];
    double ms;
    int stays;
    uint64_t now = now_ns();
    if (!file) die(name);
    while (count < CALLERS_MAX && fscanf(file, "%lf %7s %d %64s", &ms, step, &stays, token) == 4) {
        struct caller *one = &callers[count++];
        *one = (struct caller){.stays = stays, .rank = -1, .due_ns = now + (uint64_t)(ms * 1e6)};
        one->step = *step == 'p' ? PLACE : *step == 'j' ? JOIN : LIVE;
        if (*token != '-') memcpy(one->token, token, sizeof token);
    }
    fclose(file);
    printf("{\"callers\": %u}\n", count);
}

static void mark(int64_t rank, double within_ms) {
    uint32_t turns = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct caller *one = &callers[i];
        if (one->state != WAITING || one->rank > rank) continue;
        turns++;
        rest(one, CALLED, uniform(within_ms * 1e6) + uniform(GO_NS));
    }
    printf("{\"turns\": %u}\n", turns);
}

static void clear(void) {
    memset(tallies, 0, sizeof tallies);
    wait_count = away_count = 0;
    lost = placed = left = 0;
    printf("{}\n");
}

static void look(void) {
    uint32_t in[STATES] = {0}, hearing = 0;
    uint64_t now = now_ns();
    for (uint32_t i = 0; i < count; i++) {
        struct caller *one = &callers[i];
        in[one->state]++;
        hearing += one->state == READING && one->bytes >= heard_bytes && now - one->last_ns < HEARS_NS;
    }
    printf("{\"resting\": %u, \"waiting\": %u, \"asking\": %u, \"listening\": %u, \"hearing\": %u, \"gone\": %u, ",
           in[RESTING] + in[CALLED], in[WAITING], in[CONNECTING] + in[SHAKING] + in[ASKED], in[READING], hearing,
           in[GONE]);
    printf("\"lost\": %lu, \"placed\": %lu, \"left\": %lu, \"suite\": \"%s\", ", lost, placed, left, suite);
    printf("%s, ", spread("first_byte_ms", waits, wait_count));
    printf("%s, \"failures\": {", spread("away_ms", aways, away_count));
    for (int i = 0; i < REASONS_MAX && *tallies[i].name; i++)
        printf("%s\"%s\": %lu", i ? ", " : "", tallies[i].name, tallies[i].count);
    printf("}}\n");
}

static void obey(void) {
    char line[512], name[400];
    long rank;
    double ms;
    ssize_t size = read(STDIN_FILENO, line, sizeof line - 1); /* one command at a time: the driver waits for the answer */
    if (size <= 0) exit(0);
    line[size] = 0;
    if (sscanf(line, "call %399s", name) == 1) call(name);
    else if (sscanf(line, "mark %ld %lf", &rank, &ms) == 2) mark(rank, ms);
    else if (!strncmp(line, "clear", 5)) clear();
    else if (!strncmp(line, "look", 4)) look();
}

static void handle(const struct epoll_event *event) {
    uint32_t index = event->data.u32;
    if (index == STDIN_TAG) {
        obey();
        return;
    }
    switch (callers[index].state) {
    case CONNECTING: connected(index, event->events); break;
    case SHAKING: shake(index); break;
    case ASKED:
    case READING: take(index); break;
    default: break; /* hung up within this batch */
    }
}

static struct sockaddr_in address(const char *port) {
    struct sockaddr_in made = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    made.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return made;
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS], input = {.events = EPOLLIN, .data.u32 = STDIN_TAG};
    const struct timespec nap = {.tv_nsec = NAP_NS};
    if (argc != 6) {
        fprintf(stderr, "usage: callers DOOR_PORT EDGE_PORT SHOW plain|tls HEARD_BYTES\n");
        return 2;
    }
    door = address(argv[1]);
    edge = address(argv[2]);
    show = argv[3];
    wire_prepare(argv[4]);
    heard_bytes = strtoull(argv[5], NULL, 10);
    callers = calloc(CALLERS_MAX, sizeof *callers);
    raise_limit();
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input)) die("stdin");
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS, TICK_NS / 1000000);
        for (int i = 0; i < ready; i++) handle(&events[i]);
        tick();
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    }
}
