-- Vertica: once, all that the topics hold now, by hand. NOT TESTED. @NAME@ is filled by lib.sh; a stream is "topic|partition|offset", -2 is the
-- beginning, one for each partition: edge_samples_v1|0|-2,edge_samples_v1|1|-2,...  In @KAFKA_CONF@ are librdkafka's properties, as JSON.
--
-- Twice run it takes all of it twice: for what goes on, vertica/schedule. A text that is wider than its column refuses its row, which is then in
-- the table of rejections with the reason; without enforce_length it would be cut and nobody told.
COPY edge_samples_v1 SOURCE KafkaSource(stream='@SAMPLES_STREAM@', brokers='@KAFKA_BROKERS@', kafka_conf='@KAFKA_CONF@', stop_on_eof=TRUE)
    PARSER KafkaJSONParser(enforce_length=TRUE, flatten_maps=FALSE, flatten_arrays=FALSE, reject_on_duplicate=TRUE,
                           reject_on_materialized_type_error=TRUE, reject_on_empty_key=TRUE)
    REJECTED DATA AS TABLE edge_samples_v1_rejected;

COPY edge_events_v1 SOURCE KafkaSource(stream='@EVENTS_STREAM@', brokers='@KAFKA_BROKERS@', kafka_conf='@KAFKA_CONF@', stop_on_eof=TRUE)
    PARSER KafkaJSONParser(enforce_length=TRUE, flatten_maps=FALSE, flatten_arrays=FALSE, reject_on_duplicate=TRUE,
                           reject_on_materialized_type_error=TRUE, reject_on_empty_key=TRUE)
    REJECTED DATA AS TABLE edge_events_v1_rejected;
