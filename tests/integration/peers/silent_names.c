/*
 * silent_names: LD_PRELOAD in which the name server never answers, for names below .silent; what is asked waits until
 * the process ends. For the tests.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
                (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT,
                                                                                                        "getaddrinfo");
        size_t len = node ? strlen(node) : 0;

        while (len > 7 && strcmp(node + len - 7, ".silent") == 0)
                pause();
        return real(node, service, hints, out);
}
