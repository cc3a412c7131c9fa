package consumers;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KafkaStreams.State;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** What the programs with Kafka Streams have in common. */
final class StreamsProgram {
    private StreamsProgram() {}

    static Properties settings(Options options) throws IOException {
        var settings = options.clientSettings();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, options.get("group"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, options.get("state"));
        // Results, state and offsets are committed together, so that no restart counts twice. It also makes all
        // consumers, that of the global table included, read only committed messages.
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put("auto.offset.reset", "earliest"); // a new group starts with the oldest message
        return settings;
    }

    /** Creates the topic of the results, with the brokers' numbers of partitions and replicas, unless it exists. */
    static void createOutput(Admin admin, String topic) throws ExecutionException, InterruptedException {
        // Compacted: the last message of a key is kept. Deletion by age would use the times of the events, and delete
        // the results of a backfill at once.
        var compacted = new NewTopic(topic, Optional.empty(), Optional.empty()).configs(Map.of("cleanup.policy", "compact"));
        try {
            admin.createTopics(List.of(compacted)).all().get();
        } catch (ExecutionException error) {
            if (!(error.getCause() instanceof TopicExistsException)) {
                throw error;
            }
        }
    }

    /** Runs until SIGTERM, or until an error that Kafka Streams cannot recover from: then the exit code is 1. */
    static void run(Topology topology, Properties settings) throws InterruptedException {
        var ended = new CountDownLatch(1);
        var streams = new KafkaStreams(topology, settings);
        streams.setStateListener((state, before) -> {
            if (state == State.ERROR || state == State.NOT_RUNNING) {
                ended.countDown();
            }
        });
        streams.setUncaughtExceptionHandler(error -> {
            System.err.println("Stopping: " + error);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        ended.await();
        if (streams.state() == State.ERROR) {
            System.exit(1);
        }
    }
}
