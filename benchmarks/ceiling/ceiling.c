/* The ceiling: how fast the server takes batches from a client that costs next to nothing.
 *
 *   ceiling PORT FILE IN_FLIGHT
 *
 * FILE holds finished HTTP requests (signed, with their bodies): per request its length and its number of events, each
 * 4 bytes in the machine's order, then its bytes. One connection per request, because Sockudo answers "Connection:
 * close"; IN_FLIGHT of them at a time, from one thread with epoll. An answer counts when its status is 200 and the
 * server has closed.
 *
 * Prints "SECONDS EVENTS" per answer, since the first connect; ends with "CPU SECONDS". Exit: 0 all were 200, 1 not, 2 usage.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST_IN_FLIGHT 64
#define GIVE_UP_MS 30000 /* no answer at all for so long: something is wrong */

struct request {
    int fd;
    const char *at;
    size_t left;
    uint32_t events;
    char head[16];
    size_t head_size;
};

static const char *next_request, *end_of_requests;
static struct sockaddr_in server;
static int poller;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now_s(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void watch(struct request *one, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = one};
    if (epoll_ctl(poller, operation, one->fd, &event) < 0) fail("epoll_ctl");
}

/* Take the next request of the file and begin to connect; 0 when there is none. */
static int begin(struct request *one) {
    uint32_t header[2];
    if (next_request + sizeof header > end_of_requests) return 0;
    memcpy(header, next_request, sizeof header);
    one->at = next_request + sizeof header;
    one->left = header[0];
    one->events = header[1];
    one->head_size = 0;
    next_request = one->at + one->left;
    if (next_request > end_of_requests) {
        fputs("FILE ends in the middle of a request\n", stderr);
        exit(2);
    }
    one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (one->fd < 0) fail("socket");
    int on = 1;
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(one->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) fail("connect");
    watch(one, EPOLL_CTL_ADD, EPOLLOUT);
    return 1;
}

static void write_more(struct request *one) {
    while (one->left > 0) {
        ssize_t written = send(one->fd, one->at, one->left, MSG_NOSIGNAL);
        if (written < 0) {
            if (errno == EAGAIN) return;
            fail("send");
        }
        one->at += written;
        one->left -= (size_t)written;
    }
    watch(one, EPOLL_CTL_MOD, EPOLLIN);
}

/* 1 when the server has closed. */
static int read_more(struct request *one) {
    static char buffer[1 << 16];
    for (;;) {
        ssize_t got = recv(one->fd, buffer, sizeof buffer, 0);
        if (got == 0) return 1;
        if (got < 0) {
            if (errno == EAGAIN) return 0;
            fail("recv");
        }
        for (ssize_t i = 0; i < got && one->head_size < sizeof one->head; i++) one->head[one->head_size++] = buffer[i];
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: ceiling PORT FILE IN_FLIGHT\n", stderr);
        return 2;
    }
    int in_flight = atoi(argv[3]), file = open(argv[2], O_RDONLY);
    struct stat about;
    if (in_flight < 1 || in_flight > MOST_IN_FLIGHT || file < 0 || fstat(file, &about) < 0 || about.st_size == 0) {
        fputs("ceiling: unusable FILE or IN_FLIGHT\n", stderr);
        return 2;
    }
    next_request = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (next_request == MAP_FAILED) fail("mmap");
    end_of_requests = next_request + about.st_size;
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poller = epoll_create1(0);
    if (poller < 0) fail("epoll_create1");

    static struct request requests[MOST_IN_FLIGHT];
    double start = now_s();
    int busy = 0, refused = 0;
    for (int i = 0; i < in_flight; i++) busy += begin(&requests[i]);
    while (busy > 0) {
        struct epoll_event ready[MOST_IN_FLIGHT];
        int count = epoll_wait(poller, ready, MOST_IN_FLIGHT, GIVE_UP_MS);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct request *one = ready[i].data.ptr;
            if (one->left > 0) {
                write_more(one);
            } else if (read_more(one)) {
                close(one->fd);
                if (one->head_size < 12 || memcmp(one->head + 8, " 200", 4) != 0) {
                    refused++;
                    fprintf(stderr, "answer: %.*s\n", (int)one->head_size, one->head);
                } else {
                    printf("%.6f %u\n", now_s() - start, one->events);
                }
                if (!begin(one)) busy--;
            }
        }
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("CPU %.6f\n", (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                             (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return refused > 0;
}
