"""How a Python client reaches the cluster: the variables of lib.sh as librdkafka's properties."""

import os


def client(**more):
    """The properties of confluent_kafka; `more` with _ for each dot."""
    env = os.environ.get
    made = {"bootstrap.servers": env("KAFKA_BROKERS") or "127.0.0.1:" + (env("KAFKA_PORT") or "19092"),
            "security.protocol": env("KAFKA_PROTOCOL") or "PLAINTEXT", "log_level": 0}
    if "SSL" in made["security.protocol"] and env("KAFKA_CA"):
        made["ssl.ca.location"] = env("KAFKA_CA")
    if made["security.protocol"].startswith("SASL"):
        with open(os.environ["KAFKA_PASSWORD_FILE"], encoding="utf-8") as f:
            made["sasl.password"] = f.readline().rstrip("\r\n")
        made["sasl.mechanism"] = env("KAFKA_MECHANISM") or "SCRAM-SHA-512"
        made["sasl.username"] = env("KAFKA_USER") or ""
    made.update({name.replace("_", "."): value for name, value in more.items()})
    return made
