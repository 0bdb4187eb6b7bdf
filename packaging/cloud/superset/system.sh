# Superset with a dashboard over DuckDB's files. Sourced by the scripts of packaging/cloud; needs the system duckdb.
# shellcheck shell=bash disable=SC2154,SC2034
# shellcheck source=packaging/cloud/duckdb/system.sh
. "$cloud/duckdb/system.sh"

: "${SUPERSET_PORT:=18089}" "${SUPERSET_URL:=http://127.0.0.1:$SUPERSET_PORT}" "${SUPERSET_USER:=admin}"
: "${SUPERSET_PASSWORD_FILE:=$run/superset/data/password}" "${SUPERSET_DATABASE:=$run/superset/data/edge.duckdb}"

superset_fetch()
{
        duckdb_fetch
        wheels superset
        # Its command line.
        superset_do=(env "PYTHONPATH=$wheels" "SUPERSET_CONFIG_PATH=$cloud/superset/config.py" 'FLASK_APP=superset.app:create_app()'
                "SUPERSET_DATA=$run/superset/data" /usr/bin/python3 -c 'from superset.cli.main import superset; superset()')
}

# Once: a secret, a password, its own database.
superset_make()
{
        local data=$run/superset/data
        [ ! -e "$data/made" ] || return 0
        mkdir -p "$data"
        (umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$data/secret" && head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$data/password")
        say "making Superset's own database, once (half a minute)"
        { "${superset_do[@]}" db upgrade && "${superset_do[@]}" init &&
                "${superset_do[@]}" fab create-admin --username "$SUPERSET_USER" --firstname millrace --lastname admin --email admin@example.org \
                        --password "$(cat "$data/password")"; } >"$run/superset/making" 2>&1 ||
                { tail -n 20 "$run/superset/making" >&2; die "Superset's database can't be made: $run/superset/making"; }
        touch "$data/made"
}

superset_start()
{
        [ -d "$DUCKDB_FOLDER/edge_samples_v1" ] || die "Superset needs DuckDB's files: packaging/cloud/up duckdb superset"
        superset_make
        pid_of superset >/dev/null || duckdb_ask --views "$SUPERSET_DATABASE" || die "no views for Superset"
        service superset "${superset_do[@]}" run --host 127.0.0.1 --port "$SUPERSET_PORT" --with-threads
}

superset_ready()
{
        await superset 120 http "$SUPERSET_URL/health"
        SUPERSET_URL=$SUPERSET_URL SUPERSET_USER=$SUPERSET_USER SUPERSET_PASSWORD_FILE=$SUPERSET_PASSWORD_FILE DATABASE="duckdb:///$SUPERSET_DATABASE" \
                "$cloud/superset/dashboard"
}

superset_stop()
{
        end superset 20
}

superset_look()
{
        cat <<END
  Superset       $SUPERSET_URL/superset/dashboard/millrace/    user $SUPERSET_USER, the password is in $SUPERSET_PASSWORD_FILE
END
}
