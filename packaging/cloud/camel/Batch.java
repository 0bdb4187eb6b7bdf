/*
 * A batch of Kafka records as the one body that a sink takes, its bytes as
 * they are.
 *
 * Camel can say the same in its own expressions, one a record; each of them
 * looks at the class of the record anew, 13 ms of a slow core: 40 records a
 * second.  Values come as byte[], so no character set is in the way.
 */
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import org.apache.camel.Exchange;
import org.apache.camel.component.kafka.KafkaConstants;

public class Batch {
    private static final byte[] BEGIN = "{\"id\":\"".getBytes(StandardCharsets.US_ASCII);
    private static final String TIME = ",\"ts\":\""; // in no text before it: a quote in a text has a backslash

    /** One record a line. */
    public byte[] lines(List<Exchange> records) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (Exchange record : records) {
            out.writeBytes(value(record));
            out.write('\n');
        }
        return out.toByteArray();
    }

    /** A bulk request of Elasticsearch and OpenSearch: the record's id is the document's. */
    public byte[] bulk(List<Exchange> records) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (Exchange record : records) {
            byte[] value = value(record);
            out.writeBytes("{\"index\":{\"_id\":\"".getBytes(StandardCharsets.US_ASCII));
            out.write(value, BEGIN.length, idEnd(record, value) - BEGIN.length);
            out.writeBytes("\"}}\n".getBytes(StandardCharsets.US_ASCII));
            out.writeBytes(value);
            out.write('\n');
        }
        return out.toByteArray();
    }

    /** JSON of a row each: the record, and before its members "day", the date of its time. */
    public List<String> rows(List<Exchange> records) throws IOException {
        List<String> out = new ArrayList<>(records.size());
        for (Exchange record : records) {
            byte[] value = value(record);
            idEnd(record, value);
            String text = new String(value, StandardCharsets.UTF_8);
            int day = text.indexOf(TIME) + TIME.length();
            out.add("{\"day\":\"" + text.substring(day, text.indexOf('T', day)) + "\"," + text.substring(1));
        }
        return out;
    }

    private static byte[] value(Exchange record) {
        return record.getMessage().getBody(byte[].class);
    }

    /** Where its id ends: each record begins with it, and it has no character that JSON escapes. */
    private static int idEnd(Exchange record, byte[] value) throws IOException {
        int i = 0;
        while (i < BEGIN.length && i < value.length && value[i] == BEGIN[i])
            i++;
        if (i < BEGIN.length)
            throw new IOException("no record of millrace: " + record.getMessage().getHeader(KafkaConstants.TOPIC) + " partition "
                + record.getMessage().getHeader(KafkaConstants.PARTITION) + " offset " + record.getMessage().getHeader(KafkaConstants.OFFSET));
        while (i < value.length && value[i] != '"')
            i++;
        return i;
    }
}
