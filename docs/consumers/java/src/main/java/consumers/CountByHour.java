package consumers;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntFunction;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import org.apache.kafka.streams.state.ValueAndTimestamp;

/**
 * Counts the events of one partition by hour and place, and publishes the counts of an hour when it is complete.
 *
 * <p>An hour is complete when {@code final} of its source is at or after its end, and this task has processed every
 * event below the end that the partition had <em>after</em> that {@code final} was read: the global table may be ahead
 * of this task. Neither the offset of the last event nor the committed offset shows the latter, because markers of
 * transactions have offsets too, and a task commits an offset behind them only after it has processed an event since
 * its start; so a {@link Partition} reads whether there is another committed event before that end.
 *
 * <p>Windows of Kafka Streams are of no use here. They close by the newest event of the partition, whatever its
 * location, and drop the events that a vendor sends later.
 */
final class CountByHour implements Processor<String, JsonNode, String, JsonNode> {
    static final String PROGRESS = "progress";

    /**
     * The events of open hours, with the key {@code <source>/<hour>/<place>/<record_id>}. They are not added up before
     * the hour is complete: a record that is published again, as a revision or after a rewind, then counts once.
     */
    static final String OPEN = "open";

    /** What this partition has behind it: {@link #NEXT_OFFSET}, and until when the hours of each source are closed. */
    static final String PROCESSED = "processed";

    private static final String NEXT_OFFSET = "#next-offset"; // not the name of a source

    private final String stream;
    private final String place;
    private final IntFunction<Partition> openPartition;
    private ProcessorContext<String, JsonNode> context;
    private ReadOnlyKeyValueStore<String, ValueAndTimestamp<JsonNode>> progress;
    private KeyValueStore<String, String> open;
    private KeyValueStore<String, String> processed;
    private Partition partition;
    private Map<String, String> closing = Map.of(); // the end of the hours to close, by source
    private long endOffset; // of the partition, after `closing` was read

    CountByHour(String stream, String place, IntFunction<Partition> openPartition) {
        this.stream = stream;
        this.place = place;
        this.openPartition = openPartition;
    }

    @Override
    public void init(ProcessorContext<String, JsonNode> context) {
        this.context = context;
        progress = context.getStateStore(PROGRESS);
        open = context.getStateStore(OPEN);
        processed = context.getStateStore(PROCESSED);
        partition = openPartition.apply(context.taskId().partition());
        context.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, now -> closeHours());
    }

    @Override
    public void process(Record<String, JsonNode> record) {
        processed.put(NEXT_OFFSET, Long.toString(context.recordMetadata().orElseThrow().offset() + 1));
        JsonNode event = record.value();
        String source = event.get("source").asText();
        String hour = hourOf(Instant.ofEpochMilli(record.timestamp()));
        if (hour.compareTo(closedUntil(source)) < 0) {
            // Published again after a rewind, or sent by the vendor after `allowed_lateness`. The count stays.
            System.err.println("the hour " + hour + " is closed, not counted: " + event.get("record_id").asText());
            return;
        }
        String key = String.join("/", source, hour, event.get(place).asText(), event.get("record_id").asText());
        open.put(key, "");
    }

    private void closeHours() {
        try {
            if (closing.isEmpty()) {
                var complete = hoursToClose();
                if (complete.isEmpty()) {
                    return;
                }
                endOffset = partition.endOffset(); // after `final` was read: never the other way round
                closing = complete;
            }
            String next = processed.get(NEXT_OFFSET);
            if (partition.hasNoEvent(next == null ? 0 : Long.parseLong(next), endOffset)) {
                closing.forEach(this::close);
                closing = Map.of();
            }
        } catch (RetriableException error) {
            System.err.println("hours are closed later, because a broker does not respond: " + error.getMessage());
        }
    }

    /** Returns for each source until when its hours are complete, if that is later than they are closed. */
    private Map<String, String> hoursToClose() {
        var found = new TreeMap<String, String>();
        try (var rows = progress.all()) {
            while (rows.hasNext()) {
                JsonNode row = rows.next().value.value();
                String source = row.get("source").asText();
                if (stream.equals(row.get("stream").asText())) {
                    String until = hourOf(Instant.parse(row.get("final").asText()));
                    if (until.compareTo(closedUntil(source)) > 0) {
                        found.put(source, until);
                    }
                }
            }
        }
        return found;
    }

    /** Publishes the counts of a source's hours before this time, and deletes their events from the store. */
    private void close(String source, String until) {
        var counts = new TreeMap<String, Long>(); // by `<hour>/<place>`
        try (var events = open.range(source + "/", source + "/" + until)) {
            while (events.hasNext()) {
                String key = events.next().key;
                String[] parts = key.split("/", 4);
                counts.merge(parts[1] + "/" + parts[2], 1L, Long::sum);
                open.delete(key);
            }
        }
        processed.put(source, until);
        counts.forEach((hourAndPlace, count) -> {
            String[] parts = hourAndPlace.split("/");
            var value = Json.MAPPER.createObjectNode();
            value.put("source", source).put(place, Long.parseLong(parts[1])).put("hour", parts[0]).put("count", count);
            long hour = Instant.parse(parts[0]).toEpochMilli();
            context.forward(new Record<>(parts[1] + "/" + parts[0], value, hour));
        });
    }

    private String closedUntil(String source) {
        String until = processed.get(source);
        return until == null ? "" : until;
    }

    /** Returns the start of the hour in UTC. Equal lengths make these texts comparable. */
    private static String hourOf(Instant time) {
        return time.truncatedTo(ChronoUnit.HOURS).toString();
    }

    @Override
    public void close() {
        if (partition != null) {
            partition.close();
        }
    }
}
