package consumers;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

/** Keeps the newest revision of each session in a table, and writes the table's changes to a compacted topic. */
public final class NewestSessions {
    private NewestSessions() {}

    public static void main(String[] arguments) throws Exception {
        var options = Options.parse(
                arguments,
                Map.of("group", "newest-sessions", "state", "newest-sessions-state", "output", "newest_sessions"));
        var settings = StreamsProgram.settings(options);
        try (var admin = Admin.create(settings)) {
            StreamsProgram.createOutput(admin, options.topic(options.get("output")));
        }
        StreamsProgram.run(topology(options), settings);
    }

    private static Topology topology(Options options) {
        var builder = new StreamsBuilder();
        builder.stream(options.topic("seemetrix.sessions"), Consumed.with(Serdes.String(), Json.SERDE))
                // The key of the topic is the device. The key of the table is the session.
                .groupBy(
                        (device, session) -> session.get("record_id").asText(),
                        Grouped.with("by-record", Serdes.String(), Json.SERDE))
                .reduce(
                        NewestSessions::newest,
                        Materialized.<String, JsonNode, KeyValueStore<Bytes, byte[]>>as("newest")
                                .withKeySerde(Serdes.String())
                                .withValueSerde(Json.SERDE))
                .toStream()
                .peek((record, session) -> System.out.println(record + " revision " + session.get("revision")))
                .to(options.topic(options.get("output")), Produced.with(Serdes.String(), Json.SERDE));
        return builder.build();
    }

    /** Returns the higher revision, whichever is read first: a rewind publishes lower ones again. */
    private static JsonNode newest(JsonNode stored, JsonNode read) {
        return read.get("revision").asInt() > stored.get("revision").asInt() ? read : stored;
    }
}
