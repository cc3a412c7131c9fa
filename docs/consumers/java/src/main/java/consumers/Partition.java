package consumers;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads from a partition what Kafka Streams does not know: its end, and whether a committed event is before it. */
final class Partition implements AutoCloseable {
    private static final Duration WAIT = Duration.ofMillis(100); // Kafka Streams processes nothing meanwhile

    private final TopicPartition partition;
    private final Admin admin;
    private final KafkaConsumer<byte[], byte[]> consumer;

    Partition(String topic, int number, Admin admin, Properties clientSettings) {
        this.partition = new TopicPartition(topic, number);
        this.admin = admin;
        var settings = new Properties();
        settings.putAll(clientSettings);
        settings.put("isolation.level", "read_committed");
        settings.put("auto.offset.reset", "earliest"); // the oldest messages may have been deleted
        settings.put("enable.auto.commit", "false");
        settings.put("max.partition.fetch.bytes", "65536"); // it only reads whether there is an event
        var bytes = new ByteArrayDeserializer();
        consumer = new KafkaConsumer<>(settings, bytes, bytes);
        consumer.assign(List.of(partition));
        consumer.seek(partition, 0);
    }

    /**
     * Returns the end of the log, that of open transactions included. The end of the committed messages may be lower
     * than messages whose transaction is committed already, while the partition's marker of the commit is not written.
     */
    long endOffset() {
        var latest = Map.of(partition, OffsetSpec.latest());
        try {
            var ends = admin.listOffsets(latest, new ListOffsetsOptions(IsolationLevel.READ_UNCOMMITTED));
            return ends.partitionResult(partition).get().offset();
        } catch (ExecutionException error) {
            throw error.getCause() instanceof KafkaException cause ? cause : new KafkaException(error);
        } catch (InterruptedException error) {
            throw new org.apache.kafka.common.errors.InterruptException(error);
        }
    }

    /**
     * Whether no committed event has an offset from {@code next} to before {@code end}, and none can get one: there
     * is no open transaction before {@code end}. False also means that it is not known yet; then call it again.
     */
    boolean hasNoEvent(long next, long end) {
        if (next >= end) {
            return true;
        }
        if (consumer.position(partition) < next) {
            consumer.seek(partition, next);
        }
        var events = consumer.poll(WAIT).records(partition);
        if (events.isEmpty()) {
            return consumer.position(partition) >= end; // passes markers and aborted messages
        }
        long first = events.get(0).offset();
        consumer.seek(partition, first); // the next call reads it again, unless it has been processed by then
        return first >= end;
    }

    @Override
    public void close() {
        consumer.close();
    }
}
