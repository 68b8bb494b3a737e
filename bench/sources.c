/* Preloaded into wrk, ab and slowhttptest, which all come from one address: each connection from the next one of
 * SOURCES ("10.67.0.1 200": the first address, and how many). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int connect(int fd, const struct sockaddr *to, socklen_t size) {
    static int (*real)(int, const struct sockaddr *, socklen_t);
    static uint32_t first, count, turn;
    if (!real) {
        char address[32] = "";
        const char *said = getenv("SOURCES");
        real = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
        if (said && sscanf(said, "%31s %u", address, &count) == 2) first = ntohl(inet_addr(address));
    }
    if (first && count && to->sa_family == AF_INET) {
        int on = 1;
        struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(first + turn++ % count)};
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        bind(fd, (struct sockaddr *)&source, sizeof source); /* one that is bound already stays as it is */
    }
    return real(fd, to, size);
}
