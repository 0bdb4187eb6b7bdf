/*
 * silent_names: LD_PRELOAD in which the name server does not answer, for names below .silent: what is asked waits until
 * the process ends, or until the file $SILENT_NAMES_UNTIL is there; they are all this machine then. For the tests.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void wait_for_it(void)
{
        const char *until = getenv("SILENT_NAMES_UNTIL");
        struct timespec a_moment = {.tv_nsec = 50000000};

        while (!until || access(until, F_OK) != 0)
                nanosleep(&a_moment, NULL);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
                (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT,
                                                                                                        "getaddrinfo");
        size_t len = node ? strlen(node) : 0;

        if (len > 7 && strcmp(node + len - 7, ".silent") == 0) {
                wait_for_it();
                node = "127.0.0.1";
        }
        return real(node, service, hints, out);
}
