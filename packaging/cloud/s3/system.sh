# An S3 server on a folder (versitygw), and Camel that brings it the readings from Kafka. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034
# shellcheck source=packaging/cloud/camel/carrier.sh
. "$cloud/camel/carrier.sh"

: "${S3_URL:=http://127.0.0.1:$S3_PORT}" "${S3_BUCKET:=edge-samples}" "${S3_REGION:=us-east-1}" "${S3_MAKE_BUCKET:=true}"
: "${S3_KEY:=millrace}" "${S3_SECRET_FILE:=}" # the secret's file; without one, of this machine's own server
s3_how=bytes
s3_gateway=v1.8.0

s3_fetch()
{
        local go
        carrier_fetch
        s3_server=$cache/bin/versitygw-$s3_gateway
        if [ ! -x "$s3_server" ]; then
                # Debian 12's Go is too old for it.
                go=$(command -v "${GO:-go}" || command -v /usr/local/go/bin/go) || die "Go 1.24 or newer is missing (GO=...); or put a versitygw $s3_gateway at $s3_server"
                say "building versitygw $s3_gateway with go, once (some minutes)"
                GOBIN=$cache/bin/new GOFLAGS=-p=2 nice "$go" install "github.com/versity/versitygw/cmd/versitygw@$s3_gateway" || die "versitygw can't be built"
                mv "$cache/bin/new/versitygw" "$s3_server"
        fi
}

s3_secret()
{
        if [ -n "$S3_SECRET_FILE" ]; then head -n 1 "$S3_SECRET_FILE"; else echo millrace-secret; fi
}

s3_start()
{
        mkdir -p "$run/s3/objects" "$run/s3/attributes"
        ROOT_ACCESS_KEY=$S3_KEY ROOT_SECRET_KEY=$(s3_secret) service s3 "$s3_server" --port "127.0.0.1:$S3_PORT" --quiet \
                posix --sidecar "$run/s3/attributes" "$run/s3/objects"
        await s3 20 port_answers "$S3_PORT"
        s3_start_carrier
}

s3_start_carrier()
{
        local S3_SECRET
        S3_SECRET=$(s3_secret)
        carrier to-s3 s3
}

s3_ready()
{
        await to-s3 10 port_answers "$S3_PORT"
}

s3_stop()
{
        end to-s3 30
        end s3 10
}

# The lines are counted where the server keeps them; a provider's storage would be asked by its own means.
s3_count()
{
        find "$run/s3/objects/$S3_BUCKET" -name '*.jsonl' -exec cat {} + 2>/dev/null | wc -l
}

# What carries, and the server under it: an object that was half written must not count, one that could not be stored must come again.
s3_crash()
{
        crash to-s3
        s3_start_carrier
        sleep 5
        crash s3
        sleep 5
        s3_start
}

s3_dump()
{
        S3_URL=$S3_URL S3_KEY=$S3_KEY S3_SECRET=$(s3_secret) S3_REGION=$S3_REGION "$cloud/s3/dump" "$S3_BUCKET"
}

s3_peak()
{
        echo "$(peak s3) and $(peak to-s3)"
}

s3_look()
{
        cat <<END
  Object store   $S3_URL, bucket $S3_BUCKET, key $S3_KEY
                 as files:               find $run/s3/objects/$S3_BUCKET -name '*.jsonl'
END
}
