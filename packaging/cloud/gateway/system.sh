# millraced with a mosquitto beside it, on the folder of configuration that "gateway_config" names. Sourced by the scripts of
# packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

: "${COMPRESSION:=lz4}" # of packaging/cloud/feed: what a sink can't unpack it does not have
: "${gateway_name:=gateway}" # of its service and folder: there may be a second one

gateway_fetch()
{
        [ -x "$build/agent/millraced" ] || die "$build/agent/millraced is not there: meson setup build && ninja -C build (or MILLRACE_BUILD=...)"
        command -v mosquitto >/dev/null || PATH=$PATH:/usr/sbin
        command -v mosquitto >/dev/null || die "mosquitto is missing: packaging/deps install demo"
}

# The configuration, filled and checked: of the demo factory, unless somebody wrote another.
gateway_start()
{
        local DATA=$run/$gateway_name config=$run/$gateway_name/millrace.yaml
        local BROKER_LIST=\"${KAFKA_BROKERS//,/\",\"}\" KAFKA_PROPERTIES KAFKA_SECRETS=
        KAFKA_PROPERTIES=$(kafka_client librdkafka | sed '/^sasl.password=/d; s/.*/"&"/' | paste -sd ,)
        [ -z "$KAFKA_PASSWORD_FILE" ] || KAFKA_SECRETS=\"sasl.password=file:$KAFKA_PASSWORD_FILE\"
        mkdir -p "$DATA" "$run/mosquitto"
        fill "$cloud/gateway/mosquitto.conf" >"$run/mosquitto/conf"
        fill "$cloud/gateway/${gateway_config:-factory.yaml}" >"$config"
        "$build/agent/millrace" check "$config" >"$DATA/check" || { cat "$DATA/check" >&2; die "$config has faults"; }
        service mosquitto mosquitto -c "$run/mosquitto/conf"
        await mosquitto 60 port_answers "$MQTT_PORT"
        service "$gateway_name" "$build/agent/millraced" --config "$config"
}

gateway_status()
{
        "$build/agent/millrace" --config "$run/$gateway_name/millrace.yaml" status --json 2>/dev/null
}

# gateway_figure NAME: of its status, the first of that name.
gateway_figure()
{
        gateway_status | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d: -f2
}

# Nothing is held, in no lane.
gateway_empty()
{
        local status
        status=$(gateway_status) && [[ $status == *'"held":0,'* && ! $status =~ \"held\":[1-9] ]]
}

gateway_ready()
{
        await "$gateway_name" 120 gateway_linked
}

gateway_linked()
{
        gateway_status | grep -q '"uplink": *{[^}]*"state": *"up"'
}

gateway_stop()
{
        end "$gateway_name" 10
        end mosquitto 10
}
