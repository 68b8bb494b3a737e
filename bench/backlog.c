/* Preloaded into Icecast, whose listen backlog of 5 lets ten thousand join only in minutes: listen() with a longer one.
 * Nothing else of it is changed, and no figure of Icecast's joins is published. */
#define _GNU_SOURCE
#include <dlfcn.h>

#define BACKLOG 4096

int listen(int fd, int backlog) {
    int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "listen");
    (void)backlog;
    return real(fd, BACKLOG);
}
