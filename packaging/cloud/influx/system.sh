# InfluxDB 1.6 (Debian's), and Telegraf that brings it the readings from Kafka. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

: "${INFLUX_BACKUP_PORT:=18088}" "${INFLUX_URL:=http://127.0.0.1:$INFLUX_PORT}" "${INFLUX_DATABASE:=edge}" "${INFLUX_LOGIN:=}"
: "${MEASUREMENT:=$SAMPLES_TOPIC}"
influx_how=fields
influx_floats=value,min,max
influx_only=id,gateway,source,tag,ts_us,value,value_int,value_bool,value_str,unit,quality,reason,clock,time,line,arrival_us,epoch,seq,agg,n,min,max
influx_telegraf=v1.38.3
# shellcheck source=packaging/cloud/influx/telegraf.sh
. "$cloud/influx/telegraf.sh"

# Out of the package without installing it: its service would start.
influx_fetch()
{
        local new=$cache/influx.new
        influx_server=$cache/influx/usr/bin/influxd
        influx_carrier=$cache/bin/telegraf-$influx_telegraf
        if [ ! -x "$influx_server" ]; then
                rm -rf "$new" && mkdir -p "$new"
                (cd "$new" && apt-get download -q influxdb >/dev/null 2>&1 && dpkg -x influxdb_*.deb .) || die "Debian's influxdb can't be had"
                mv "$new" "$cache/influx"
        fi
        [ -x "$influx_carrier" ] || telegraf_build || exit 1
}

# influx_member KIND NAME [TYPE]
influx_member()
{
        printf '    [[inputs.kafka_consumer.json_v2.%s]]\n      path = "%s"\n      optional = true\n' "$1" "$2"
        [ -z "${3:-}" ] || printf '      type = "%s"\n' "$3"
}

influx_members()
{
        local name
        for name in gateway source tag unit; do influx_member tag "$name"; done
        for name in id value_str quality reason clock time line agg; do influx_member field "$name" string; done
        for name in value min max; do influx_member field "$name" float; done
        for name in value_int arrival_us epoch seq n; do influx_member field "$name" int; done
        influx_member field value_bool bool
}

influx_security()
{
        case $KAFKA_PROTOCOL in *SSL) printf '  enable_tls = true\n  tls_ca = "%s"\n' "$KAFKA_CA" ;; esac
        case $KAFKA_PROTOCOL in
        SASL_*) printf '  sasl_mechanism = "%s"\n  sasl_username = "%s"\n  sasl_password = "%s"\n' "$KAFKA_MECHANISM" "$KAFKA_USER" "$(kafka_password)" ;;
        esac
}

influx_start()
{
        local DATA=$run/influx/data
        mkdir -p "$DATA"
        fill "$cloud/influx/influxdb.conf" >"$run/influx/influxdb.conf"
        service influx "$influx_server" run -config "$run/influx/influxdb.conf"
        await influx 120 http "$INFLUX_URL/ping"
        http -o /dev/null -X POST "$INFLUX_URL/query" --data-urlencode "q=CREATE DATABASE \"$INFLUX_DATABASE\""
        influx_start_carrier
}

influx_start_carrier()
{
        local TELEGRAF_SECURITY TELEGRAF_MEMBERS BROKER_LIST=\"${KAFKA_BROKERS//,/\",\"}\"
        TELEGRAF_SECURITY=$(influx_security)
        TELEGRAF_MEMBERS=$(influx_members)
        (umask 077 && fill "$cloud/influx/telegraf.conf" >"$run/influx/telegraf.conf")
        service telegraf "$influx_carrier" --config "$run/influx/telegraf.conf"
}

influx_ready()
{
        await telegraf 120 http "$INFLUX_URL/ping"
}

influx_stop()
{
        end telegraf 20
        end influx 20
}

influx_count()
{
        http -G "$INFLUX_URL/query" --data-urlencode "db=$INFLUX_DATABASE" --data-urlencode "q=SELECT count(id) FROM \"$MEASUREMENT\"" |
                sed -n 's/.*Z",\([0-9]*\).*/\1/p'
}

# Both: the store, and what carries.
influx_crash()
{
        crash influx
        sleep 2
        crash telegraf
        influx_start
}

influx_dump()
{
        "$cloud/influx/dump" "$INFLUX_URL" "$INFLUX_DATABASE" "$MEASUREMENT"
}

influx_peak()
{
        echo "$(peak influx) and $(peak telegraf)"
}

influx_look()
{
        cat <<END
  InfluxDB       $INFLUX_URL, database $INFLUX_DATABASE
                 curl -sG $INFLUX_URL/query --data-urlencode db=$INFLUX_DATABASE --data-urlencode 'q=SELECT mean(value) FROM "$MEASUREMENT" WHERE time > now() - 10m GROUP BY time(1m), source, "tag"'
END
}
