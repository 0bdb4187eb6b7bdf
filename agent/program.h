/*
 * program: the two programs in one file.  Each has the process for itself and
 * returns its exit status.
 */
#ifndef MILLRACE_AGENT_PROGRAM_H
#define MILLRACE_AGENT_PROGRAM_H

int millraced_main(int argc, char **argv);
int millrace_main(int argc, char **argv);

#endif
