/*
 * A topology of one spout and one bolt: each reading against the limit of its
 * tag, and an alert in Kafka when a tag crosses it, and when it is back.
 *
 * What a tag's state is, is what was told of it last: the bolt keeps that in
 * memory, changes it when Kafka has acknowledged the alert, and reads it from
 * the topic of the alerts when it starts.  A reading that is not newer than
 * the last alert of its tag is not judged.  So a record that comes again, from
 * a gateway, from Kafka or from Storm, says nothing new, and after a kill no
 * alert is missing and none is there twice; Storm keeps no state at all.
 *
 * An alert that can't be sent ends the worker, and Storm starts another (on
 * one machine all of Storm ends).  What is no JSON is acknowledged and left.
 *
 * Parameters are the variables of system.sh; they go with the topology, and
 * so does a password for Kafka.  The topology is here and not in YAML of Flux:
 * the bolt has to be written anyhow.
 */
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.storm.Config;
import org.apache.storm.StormSubmitter;
import org.apache.storm.kafka.spout.FirstPollOffsetStrategy;
import org.apache.storm.kafka.spout.KafkaSpout;
import org.apache.storm.kafka.spout.KafkaSpoutConfig;
import org.apache.storm.task.OutputCollector;
import org.apache.storm.task.TopologyContext;
import org.apache.storm.topology.OutputFieldsDeclarer;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.topology.base.BaseRichBolt;
import org.apache.storm.tuple.Fields;
import org.apache.storm.tuple.Tuple;

public class Watch extends BaseRichBolt {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int START_S = 120;

    /** Of a tag: {limit, deadband}. */
    private final HashMap<String, double[]> limits = new HashMap<>();
    private final Properties cluster;
    private final String topic;

    private transient OutputCollector out;
    private transient Map<String, JsonNode> told;
    private transient KafkaProducer<String, String> producer;

    Watch(String limits, String topic, Properties cluster) {
        for (String each : limits.split(",")) {
            String[] part = each.split(":");
            this.limits.put(part[0], new double[] {Double.parseDouble(part[1]), Double.parseDouble(part[2])});
        }
        this.topic = topic;
        this.cluster = cluster;
    }

    @Override
    public void prepare(Map<String, Object> conf, TopologyContext context, OutputCollector collector) {
        out = collector;
        Properties with = new Properties();
        with.putAll(cluster);
        with.put("enable.idempotence", "true");
        with.put("delivery.timeout.ms", "120000");
        producer = new KafkaProducer<>(with, new StringSerializer(), new StringSerializer());
        told = lastTold();
    }

    /** The last alert of each tag, from the topic; all that was there when this began. */
    private Map<String, JsonNode> lastTold() {
        Map<String, JsonNode> found = new HashMap<>();
        try (KafkaConsumer<String, String> in = new KafkaConsumer<>(cluster, new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> parts = in.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            in.assign(parts);
            in.seekToBeginning(parts);
            Map<TopicPartition, Long> ends = in.endOffsets(parts);
            long until = System.nanoTime() + Duration.ofSeconds(START_S).toNanos();
            while (parts.stream().anyMatch(p -> in.position(p) < ends.get(p))) {
                if (System.nanoTime() > until)
                    throw new IllegalStateException(topic + " could not be read within " + START_S + " s");
                for (ConsumerRecord<String, String> record : in.poll(Duration.ofMillis(200))) {
                    JsonNode alert = parse(record.value());
                    if (alert.path("by").asText().equals("storm"))
                        found.put(nameOf(alert), alert);
                }
            }
        }
        return found;
    }

    @Override
    public void execute(Tuple tuple) {
        JsonNode reading = parse(tuple.getStringByField("value"));
        double[] limit = limits.get(reading.path("tag").asText());
        if (limit != null && reading.path("value").isNumber() && !reading.path("quality").asText().equals("bad"))
            judge(reading, limit);
        out.ack(tuple);
    }

    private void judge(JsonNode reading, double[] limit) {
        String name = nameOf(reading);
        JsonNode last = told.get(name);
        if (last != null && reading.path("ts_us").asLong() <= last.path("ts_us").asLong())
            return;
        boolean active = last != null && last.path("state").asText().equals("active");
        double value = reading.path("value").asDouble();
        if (active ? value > limit[0] - limit[1] : value <= limit[0])
            return;
        JsonNode alert = alert(reading, name, active ? "returned" : "active", value, limit[0]);
        try {
            producer.send(new ProducerRecord<>(topic, name.substring(0, name.lastIndexOf('/')), alert.toString())).get();
        } catch (Exception e) {
            throw new IllegalStateException("no alert could be sent to " + topic, e);
        }
        told.put(name, alert);
    }

    private static ObjectNode alert(JsonNode reading, String name, String state, double value, double limit) {
        long us = reading.path("ts_us").asLong();
        ObjectNode made = JSON.createObjectNode().put("id", "storm:" + name + ":" + us + ":" + state).put("by", "storm").put("rule", "limits");
        for (String member : List.of("gateway", "source", "tag"))
            made.put(member, reading.path(member).asText());
        return made.put("state", state).put("value", value).put("limit", limit).put("ts_us", us).put("sample_id", reading.path("id").asText());
    }

    private static String nameOf(JsonNode record) {
        return record.path("gateway").asText() + "/" + record.path("source").asText() + "/" + record.path("tag").asText();
    }

    private static JsonNode parse(String text) {
        try {
            return JSON.readTree(text == null ? "" : text);
        } catch (IOException e) {
            return JSON.missingNode();
        }
    }

    @Override
    public void declareOutputFields(OutputFieldsDeclarer declarer) {
    }

    private static String env(String name) {
        if (System.getenv(name) == null)
            throw new IllegalArgumentException(name + " is not set");
        return System.getenv(name);
    }

    public static void main(String[] args) throws Exception {
        Properties cluster = new Properties();
        for (String line : env("KAFKA_CLIENT").split("\n"))
            cluster.put(line.substring(0, line.indexOf('=')), line.substring(line.indexOf('=') + 1));
        cluster.put("bootstrap.servers", env("KAFKA_BROKERS"));
        KafkaSpoutConfig.Builder<String, String> from = KafkaSpoutConfig.builder(env("KAFKA_BROKERS"), env("TOPICS").split(","));
        cluster.forEach((name, value) -> from.setProp(name.toString(), value));
        from.setProp("group.id", env("STORM_GROUP")).setOffsetCommitPeriodMs(1000).setMaxUncommittedOffsets(20000)
            .setFirstPollOffsetStrategy(FirstPollOffsetStrategy.UNCOMMITTED_EARLIEST)
            .setProcessingGuarantee(KafkaSpoutConfig.ProcessingGuarantee.AT_LEAST_ONCE);
        TopologyBuilder topology = new TopologyBuilder();
        topology.setSpout("readings", new KafkaSpout<>(from.build()), 1);
        // A device's readings go to one task, in their order.
        topology.setBolt("watch", new Watch(env("LIMITS"), env("ALERTS_TOPIC"), cluster), Integer.parseInt(env("STORM_TASKS")))
            .fieldsGrouping("readings", new Fields("key"));
        Config conf = new Config();
        conf.setMaxSpoutPending(2000);
        conf.setMessageTimeoutSecs(180);
        StormSubmitter.submitTopology("millrace-watch", conf, topology.createTopology());
    }
}
