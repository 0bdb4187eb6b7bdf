# An S3 server on a folder (S3Proxy), and Camel that brings it the readings from Kafka. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034
# shellcheck source=packaging/cloud/camel/carrier.sh
. "$cloud/camel/carrier.sh"

: "${S3_URL:=http://127.0.0.1:$S3_PORT}" "${S3_BUCKET:=edge-samples}" "${S3_REGION:=us-east-1}" "${S3_MAKE_BUCKET:=true}"
: "${S3_KEY:=millrace}" "${S3_SECRET_FILE:=}" # the secret's file; without one, of this machine's own server
s3_how=bytes

s3_fetch()
{
        carrier_fetch
        jars s3
        s3_jars=$jars
}

s3_secret()
{
        if [ -n "$S3_SECRET_FILE" ]; then head -n 1 "$S3_SECRET_FILE"; else echo millrace-secret; fi
}

s3_start()
{
        local DATA=$run/s3/objects S3_SECRET
        S3_SECRET=$(s3_secret)
        mkdir -p "$DATA"
        # A kill in the midst of an upload leaves it under a name of its own, without the attributes by which S3Proxy lists: no list succeeds any more.
        pid_of s3 >/dev/null || find "$DATA" -type f -name '*.jsonl-????????-????-????-????-????????????' -delete
        (umask 077 && fill "$cloud/s3/s3proxy.conf" >"$run/s3/s3proxy.conf")
        service s3 "$(java_of 17)" -Xms32m -Xmx128m "${java_small[@]}" "-Dlogback.configurationFile=$cloud/s3/logback.xml" \
                -cp "$s3_jars/*" org.gaul.s3proxy.Main --properties "$run/s3/s3proxy.conf"
        await s3 120 port_answers "$S3_PORT"
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
        await to-s3 60 port_answers "$S3_PORT"
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
