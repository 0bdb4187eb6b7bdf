/*
 * program: one program with two names.  Called `millraced` it is the daemon, by
 * any other name the command-line tool.
 *
 * Why one: most of both is the same (configuration, spool, tables of the
 * drivers), and the package goes over a cellular line: two programs were a
 * third larger.  `millraced` is a link to `millrace`.  It can't fail.
 */
#include "agent/program.h"

#include <string.h>

int main(int argc, char **argv)
{
        const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL, *name = slash      ? slash + 1
                                                                             : argc > 0 ? argv[0]
                                                                                        : "";

        return strcmp(name, "millraced") == 0 ? millraced_main(argc, argv) : millrace_main(argc, argv);
}
