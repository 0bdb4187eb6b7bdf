# Vertica: no registry has its server, so no row of ours has ever been in one. What can be done without it is done by check: each record of the books
# is held against its manual. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154

vertica_fetch()
{
        die "there is no Vertica to be had here; for one of yours: vertica/schema.sql, then vertica/schedule"
}

vertica_lint()
{
        "$cloud/vertica/lint" "$run/feed/kafka.samples" "$run/feed/events"
}
