/* The floor of a fan-out: accept, and one send a listener a chunk. It has no HTTP but a fixed answer, no lag policy and no
 * counters but one, and looks at a listener's socket only to send on it.
 *
 * usage: floor ADDRESS PORT SNDBUF
 * stdin: u32 length (native order) and the bytes of a chunk, again and again; its end ends the server.
 * stdout: at the end, how many sends did not take a whole chunk.
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
#include <unistd.h>

#define LISTENERS_MAX 19500
#define BACKLOG 4096
#define EVENTS 256
#define CHUNK_BYTES_MAX 65536

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Type: audio/mp4\r\nConnection: close\r\n\r\n";
static int listeners[LISTENERS_MAX], count, epoll_fd, listener;
static unsigned long short_sends;

static void die(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

/* The socket options of an edge (io/net/sockets.py); accepted sockets inherit them. */
static void listen_on(const char *address, int port, int sndbuf) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, rcvbuf = 16384;
    at.sin_addr.s_addr = inet_addr(address);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof sndbuf);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, BACKLOG)) die("listen");
}

static void take_in(void) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) watch(fd);
}

static void answer(int fd) {
    char request[2048];
    if (recv(fd, request, sizeof request, 0) <= 0 || count == LISTENERS_MAX) {
        close(fd);
        return;
    }
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL);
    listeners[count++] = fd;
}

static void read_whole(char *into, size_t size) {
    while (size) {
        ssize_t got = read(STDIN_FILENO, into, size);
        if (got <= 0) {
            printf("{\"short_sends\": %lu}\n", short_sends);
            exit(0);
        }
        into += got;
        size -= (size_t)got;
    }
}

static void fan_out(void) {
    static char chunk[CHUNK_BYTES_MAX];
    uint32_t size;
    read_whole((char *)&size, sizeof size);
    if (size > sizeof chunk) die("chunk too large");
    read_whole(chunk, size);
    for (int i = 0; i < count; i++)
        if (send(listeners[i], chunk, size, MSG_NOSIGNAL) != (ssize_t)size) short_sends++;
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    struct rlimit limit;
    if (argc != 4) {
        fprintf(stderr, "usage: floor ADDRESS PORT SNDBUF\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listen_on(argv[1], atoi(argv[2]), atoi(argv[3]));
    watch(listener);
    watch(STDIN_FILENO);
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) take_in();
            else if (fd == STDIN_FILENO) fan_out();
            else answer(fd);
        }
    }
}
