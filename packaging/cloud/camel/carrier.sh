# Camel, which carries records from Kafka to a sink that does not fetch them itself. Sourced by the systems that want it.
# shellcheck shell=bash disable=SC2154,SC2034

carrier_fetch()
{
        jars camel
        carrier_jars=$jars
        carrier_classes=$(launcher "$(java_of 17)" camel Batch)
}

# carrier NAME FOLDER: the route and the properties of the folder, as the service NAME.
carrier()
{
        local conf=$run/$1/conf KAFKA_CAMEL ROUTE
        ! pid_of "$1" >/dev/null || return 0
        ROUTE=$(echo "$cloud/$2"/*.camel.yaml)
        KAFKA_CAMEL=$(carrier_kafka)
        mkdir -p "$conf"
        (umask 077 && fill "$cloud/$2/application.properties" >"$conf/application.properties")
        [ ! -e "$run/$1/log" ] || mv "$run/$1/log" "$run/$1/log.before"
        service "$1" "$(java_of 17)" -Xms32m -Xmx192m "${java_small[@]}" -Dorg.slf4j.simpleLogger.defaultLogLevel=info \
                -Dorg.slf4j.simpleLogger.log.org.apache.kafka=warn -Daws.requestChecksumCalculation=when_required \
                -cp "$conf:$carrier_classes:$carrier_jars/*" org.apache.camel.main.Main
        await "$1" 180 grep -q ') started in' "$run/$1/log"
}

# Camel has names of its own for what a Kafka client is told.
carrier_kafka()
{
        kafka_client java | sed 's/^security\.protocol=/securityProtocol=/; s/^sasl\.mechanism=/saslMechanism=/; s/^sasl\.jaas\.config=/saslJaasConfig=/
                s/^ssl\.truststore\.type=/sslTruststoreType=/; s/^ssl\.truststore\.location=/sslTruststoreLocation=/; s/^/camel.component.kafka./'
}
