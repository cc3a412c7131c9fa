package consumers;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * Counts the viewers of each hour and location by the time of their arrival, and publishes each count once: when the
 * hour is complete according to {@code collector.progress}.
 *
 * <p>With {@code --topic seemetrix.sessions --stream sessions --place device_id --output sessions_by_hour}, it counts
 * the sessions of each hour and device.
 *
 * <p>Assumption: a location is in one source. Otherwise the hour has a count for each source, and the last one stays.
 */
public final class ViewersByHour {
    private ViewersByHour() {}

    public static void main(String[] arguments) throws Exception {
        var options = Options.parse(
                arguments,
                Map.of(
                        "group", "viewers-by-hour",
                        "state", "viewers-by-hour-state",
                        "topic", "quividi.viewers",
                        "stream", "viewers",
                        "place", "location_id",
                        "output", "viewers_by_hour"));
        var settings = StreamsProgram.settings(options);
        try (var admin = Admin.create(settings)) {
            StreamsProgram.createOutput(admin, options.topic(options.get("output")));
            StreamsProgram.run(topology(options, admin, options.clientSettings()), settings);
        }
    }

    private static Topology topology(Options options, Admin admin, Properties settings) {
        var builder = new StreamsBuilder();
        // Every partition of events needs the progress of all sources, so the progress is a global table. It is read
        // independently of the events: CountByHour must not conclude from it alone that an hour is complete.
        builder.globalTable(
                options.topic("collector.progress"),
                Consumed.with(Serdes.String(), Json.SERDE),
                Materialized.as(Stores.inMemoryKeyValueStore(CountByHour.PROGRESS)));
        for (String store : new String[] {CountByHour.OPEN, CountByHour.PROCESSED}) {
            builder.addStateStore(Stores.keyValueStoreBuilder(
                    Stores.persistentKeyValueStore(store), Serdes.String(), Serdes.String()));
        }
        String events = options.topic(options.get("topic"));
        // The key of the topic is the location, so all viewers of a location are in one partition.
        builder.stream(
                        events,
                        Consumed.with(Serdes.String(), Json.SERDE)
                                .withTimestampExtractor((message, before) -> startedAt((JsonNode) message.value())))
                .process(
                        () -> new CountByHour(
                                options.get("stream"),
                                options.get("place"),
                                partition -> new Partition(events, partition, admin, settings)),
                        CountByHour.OPEN,
                        CountByHour.PROCESSED)
                .peek((key, count) -> System.out.println(count))
                .to(options.topic(options.get("output")), Produced.with(Serdes.String(), Json.SERDE));
        return builder.build();
    }

    private static long startedAt(JsonNode event) {
        return Instant.parse(event.get("started_at").asText()).toEpochMilli();
    }
}
