/* Preloaded into the processes of a stage whose clock is to run off: CLOCK_REALTIME and CLOCK_MONOTONIC go on from the
 * instant named in BENCH_DRIFT ("REALTIME_NS MONOTONIC_NS PPM") faster than they should by so many ppm. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL

static long long began_ns[2]; /* by clock id */
static double rate;

__attribute__((constructor)) static void begin(void) {
    const char *said = getenv("BENCH_DRIFT");
    double ppm = 0;
    if (said && sscanf(said, "%lld %lld %lf", &began_ns[CLOCK_REALTIME], &began_ns[CLOCK_MONOTONIC], &ppm) == 3)
        rate = ppm / 1e6;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    int failed = (int)syscall(SYS_clock_gettime, id, at);
    if (failed || !rate || (id != CLOCK_REALTIME && id != CLOCK_MONOTONIC)) return failed;
    long long ns = at->tv_sec * SECOND_NS + at->tv_nsec;
    ns += (long long)(rate * (double)(ns - began_ns[id]));
    at->tv_sec = ns / SECOND_NS;
    at->tv_nsec = ns % SECOND_NS;
    return 0;
}
