/* cert: a certificate that is signed by its own key, for the page's TLS. */
#ifndef MILLRACE_PAGE_CERT_H
#define MILLRACE_PAGE_CERT_H

/* CERTIFICATE KEY NAME…; the exit status, and what is wrong on stderr. */
int cert_command(char **words, int n);

#endif
