/* The least that searching a network can cost: connect to every port of every address with epoll, nothing else.
 *
 *     connect FIRST-ADDRESS COUNT CONCURRENCY PORT...
 *
 * Prints the number of open ports and the microseconds of CPU (user and system) that it took.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 1024 };

static long found;

static void settle(int sock, int error)
{
    struct linger abort_at_once = {1, 0};

    if (error == 0) {
        found++;
        setsockopt(sock, SOL_SOCKET, SO_LINGER, &abort_at_once, sizeof abort_at_once);
    }
    close(sock);
}

static long collect(int poll, int wait)
{
    struct epoll_event events[BATCH];
    int ready = epoll_wait(poll, events, BATCH, wait);

    for (int i = 0; i < ready; i++) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(events[i].data.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        settle(events[i].data.fd, error);
    }
    return ready > 0 ? ready : 0;
}

static long start(int poll, const struct sockaddr_in *to)
{
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (sock < 0) {
        perror("socket");
        exit(1);
    }
    int error = connect(sock, (const struct sockaddr *)to, sizeof *to) == 0 ? 0 : errno;
    if (error != EINPROGRESS) {
        settle(sock, error);
        return 0;
    }
    struct epoll_event wanted = {.events = EPOLLOUT, .data.fd = sock};
    epoll_ctl(poll, EPOLL_CTL_ADD, sock, &wanted);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: connect FIRST-ADDRESS COUNT CONCURRENCY PORT...\n");
        return 2;
    }
    unsigned long first = ntohl(inet_addr(argv[1]));
    long count = atol(argv[2]), concurrency = atol(argv[3]), under_way = 0;
    int poll = epoll_create1(0);
    struct rusage used;

    for (long host = 0; host < count; host++)
        for (int i = 4; i < argc; i++) {
            struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[i]))};
            to.sin_addr.s_addr = htonl(first + host);
            while (under_way >= concurrency)
                under_way -= collect(poll, 1000);
            under_way += start(poll, &to);
        }
    while (under_way > 0)
        under_way -= collect(poll, 1000);
    getrusage(RUSAGE_SELF, &used);
    printf("%ld %ld\n", found,
           (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L + used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return 0;
}
