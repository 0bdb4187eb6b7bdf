# Telegraf, made of its modules with those plugins alone that carry the readings: 30 MB and not 300. Sourced by influx/system.sh.
#
# It wants a newer Go than Debian 12 has. Where the machine has none, one comes out of the backports of Debian 13, which need no library
# of that release: apt fetches it by a list of its own and proves who signed it, and it is unpacked in the cache. Nothing is installed, and what the
# machine takes its packages from stays as it is. Go and modules are needed once; what stays in the cache is Telegraf alone.
# shellcheck shell=bash disable=SC2154

telegraf_go=1.26 # as go.mod of influx_telegraf says
telegraf_tags=custom,inputs.kafka_consumer,outputs.influxdb,parsers.json_v2,serializers.influx

# at_least WANTED HAD: 1.9 is less than 1.26.
at_least()
{
        [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# telegraf_apt FOLDER PROGRAM ARGUMENT...: apt-get or apt-cache on a list and folders of its own; no root needed.
telegraf_apt()
{
        local folder=$1 program=$2
        shift 2
        "$program" -q -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$folder/lists" \
                -o Dir::Cache="$folder/cache" -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" "$@"
}

# fetch_go FOLDER: Debian's Go, the oldest that is new enough, unpacked in FOLDER/root.
fetch_go()
{
        local folder=$1 keys=/usr/share/keyrings/debian-archive-keyring.gpg from name release=
        from=$("$root/packaging/root" mirror) || return
        mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/root"
        printf 'deb [signed-by=%s] %s trixie-backports main\n' "$keys" "$from" >"$folder/sources.list"
        telegraf_apt "$folder" apt-get update >&2 || return
        while read -r name; do
                name=${name#golang-} name=${name%-go}
                ! at_least "$telegraf_go" "$name" || { release=$name && break; }
        done < <(telegraf_apt "$folder" apt-cache pkgnames golang-1. | grep -x 'golang-1\.[0-9]*-go' | sort -V)
        [ -n "$release" ] || return
        (cd "$folder" && telegraf_apt "$folder" apt-get download "golang-$release-go" "golang-$release-src" >&2) || return
        for name in "$folder"/*.deb; do dpkg -x "$name" "$folder/root" || return; done
}

# go_of FOLDER: prints a go that is new enough: GO, the PATH's, one that lies where they mostly do, or Debian's, fetched into FOLDER.
go_of()
{
        local each had
        for each in "${GO:-go}" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
                had=$(cd / && command -v "$each" >/dev/null && "$each" env GOVERSION 2>/dev/null) || continue
                ! at_least "$telegraf_go" "${had#go}" || { echo "$each" && return; }
        done
        say "no Go $telegraf_go here: fetching Debian's, for this alone" >&2
        fetch_go "$1" || die "Go $telegraf_go or newer can't be had from Debian's backports (GO=...); or put a telegraf at $influx_carrier"
        printf '%s\n' "$1"/root/usr/lib/go-*/bin/go
}

# telegraf_build: makes influx_carrier, whole or not at all.
telegraf_build()
(
        mkdir -p "$cache/bin"
        work=$(mktemp -d "$cache/telegraf.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        go=$(go_of "$work") || exit 1
        say "building telegraf $influx_telegraf with $("$go" env GOVERSION), once (some minutes)"
        for attempt in 1 2 3; do
                telegraf_install "$go" "$work" >"$work/log" 2>&1 </dev/null && break
                [ "$attempt" -lt 3 ] || { tail -n 20 "$work/log" >&2; die "telegraf can't be built"; }
                sleep $((attempt * 5))
        done
        mv -T "$work/bin/telegraf" "$influx_carrier"
)

# telegraf_install GO FOLDER: by static linking it needs no compiler of C.
telegraf_install()
{
        cd "$2" && CGO_ENABLED=0 GOPATH=$2/go GOMODCACHE=$2/go/pkg/mod GOCACHE=$2/go/cache GOBIN=$2/bin GOFLAGS="${GOFLAGS:-} -p=2 -modcacherw" \
                nice "$1" install -tags "$telegraf_tags" -ldflags "-s -w -X github.com/influxdata/telegraf/internal.Version=${influx_telegraf#v}" \
                "github.com/influxdata/telegraf/cmd/telegraf@$influx_telegraf"
}
