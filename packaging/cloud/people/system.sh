# Who is told: people/tell, and on one machine people/inbox in the people's place. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

: "${WEBHOOK_PORT:=18090}" "${MAIL_PORT:=18025}" "${WEBHOOK_URL:=}" "${SMTP_SERVER:=}" "${ALERTS_TOPIC:=edge_alerts_v1$GROUP_SUFFIX}"
: "${VERIFICATIONS_TOPIC:=edge_verifications_v1$GROUP_SUFFIX}"

people_fetch()
{
        command -v python3 >/dev/null || die "python3 is missing"
}

people_start()
{
        "$cloud/topics/topics" --partitions 3 --replicas 1 --quiet --also "$ALERTS_TOPIC" --also "$VERIFICATIONS_TOPIC" || die "no topics for people"
        mkdir -p "$run/people"
        if [ -z "$WEBHOOK_URL$SMTP_SERVER" ]; then
                service inbox "$cloud/people/inbox" "$WEBHOOK_PORT" "$MAIL_PORT" "$run/people/inbox.jsonl"
                await inbox 60 port_answers "$WEBHOOK_PORT"
                WEBHOOK_URL=http://127.0.0.1:$WEBHOOK_PORT/ SMTP_SERVER=127.0.0.1:$MAIL_PORT people_start_teller
        else
                people_start_teller
        fi
}

people_start_teller()
{
        service people env WEBHOOK_URL="$WEBHOOK_URL" SMTP_SERVER="$SMTP_SERVER" KAFKA_BROKERS="$KAFKA_BROKERS" KAFKA_PROTOCOL="$KAFKA_PROTOCOL" \
                KAFKA_CA="$KAFKA_CA" KAFKA_MECHANISM="$KAFKA_MECHANISM" KAFKA_USER="$KAFKA_USER" KAFKA_PASSWORD_FILE="$KAFKA_PASSWORD_FILE" \
                EVENTS_TOPIC="$EVENTS_TOPIC" ALERTS_TOPIC="$ALERTS_TOPIC" VERIFICATIONS_TOPIC="$VERIFICATIONS_TOPIC" PEOPLE_GROUP="people$GROUP_SUFFIX" \
                PAGE_URL="${PAGE_URL:-$(page_url)}" "$cloud/people/tell" "$run/people"
}

people_ready()
{
        await people 60 grep -q '^listening' "$run/people/log"
}

people_stop()
{
        end people 5
        end inbox 5
}

people_look()
{
        cat <<END
  People         what they are told, by webhook and mail: tail -f $run/people/inbox.jsonl
END
}
