package consumers;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Stores events in SQLite: committed events only, each once, of each record the newest revision, and its parts.
 *
 * <p>Copy it, and replace SQLite by your own database. Two rules make it correct: it reads only committed messages, and
 * it stores events before it commits their offsets. After a crash in between, it reads events again, and storing them
 * again changes nothing.
 */
public final class StoreEvents {
    private static final String[] TABLES = {
        """
        CREATE TABLE IF NOT EXISTS records (
            type TEXT, identity TEXT, revision INTEGER, event_id TEXT, value TEXT, PRIMARY KEY (identity, type))""",
        """
        CREATE TABLE IF NOT EXISTS parts (
            type TEXT, record_id TEXT, revision INTEGER, position INTEGER, event_id TEXT PRIMARY KEY, value TEXT)""",
        "CREATE INDEX IF NOT EXISTS parts_by_record ON parts (record_id)",
        // There is no order between topics: parts of a revision may be stored before the revision itself. They wait in
        // the table `parts`, and this view has them as soon as the revision is there.
        """
        CREATE VIEW IF NOT EXISTS current_parts AS
            SELECT parts.* FROM parts JOIN records
            ON records.identity = parts.record_id AND records.revision = parts.revision""",
    };

    private static final String STORE_RECORD = """
        INSERT INTO records VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (identity, type) DO UPDATE
            SET revision = excluded.revision, event_id = excluded.event_id, value = excluded.value
            WHERE excluded.revision > records.revision""";

    /** Deletes the parts of earlier revisions: a revision may have fewer parts, so nothing would overwrite the others. */
    private static final String DELETE_OLD_PARTS = "DELETE FROM parts WHERE record_id = ? AND revision < ?";

    /** Stores a part, unless a later revision of its record is stored: then the part comes late, and is obsolete. */
    private static final String STORE_PART = """
        INSERT OR IGNORE INTO parts SELECT ?, ?, ?, ?, ?, ?
        WHERE NOT EXISTS (SELECT 1 FROM records WHERE identity = ? AND revision > ?)""";

    private final PreparedStatement storeRecord;
    private final PreparedStatement deleteOldParts;
    private final PreparedStatement storePart;

    private StoreEvents(Connection database) throws SQLException {
        try (var statement = database.createStatement()) {
            for (String table : TABLES) {
                statement.execute(table);
            }
        }
        storeRecord = database.prepareStatement(STORE_RECORD);
        deleteOldParts = database.prepareStatement(DELETE_OLD_PARTS);
        storePart = database.prepareStatement(STORE_PART);
    }

    public static void main(String[] arguments) throws Exception {
        var options = Options.parse(arguments, Map.of("group", "events-to-sqlite", "database", "events.db"));
        try (var database = DriverManager.getConnection("jdbc:sqlite:" + options.get("database"));
                var consumer = new KafkaConsumer<String, String>(settings(options))) {
            stopOnSigterm(consumer);
            var store = new StoreEvents(database);
            database.setAutoCommit(false);
            consumer.subscribe(options.topics().stream().map(options::topic).toList());
            while (true) {
                var records = consumer.poll(Duration.ofSeconds(1));
                if (!records.isEmpty()) {
                    store.storeAll(records);
                    database.commit();
                    commitOffsets(consumer);
                    System.out.println(records.count() + " events");
                }
            }
        } catch (WakeupException stopped) {
            // Thrown by poll or commitSync after SIGTERM. If stored events are not committed, they are read again.
        }
    }

    private static Properties settings(Options options) throws IOException {
        var settings = options.clientSettings();
        settings.put("group.id", options.get("group"));
        settings.put("isolation.level", "read_committed"); // the default is read_uncommitted
        settings.put("auto.offset.reset", "earliest"); // a new group starts with the oldest message
        settings.put("enable.auto.commit", "false"); // offsets are committed only after the events are stored
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        return settings;
    }

    /** Wakes the consumer when the program must stop, and lets it leave the group before the program ends. */
    private static void stopOnSigterm(KafkaConsumer<?, ?> consumer) {
        var main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        }));
    }

    private static void commitOffsets(KafkaConsumer<?, ?> consumer) {
        try {
            consumer.commitSync();
        } catch (CommitFailedException | RebalanceInProgressException moved) {
            // The partitions move to another member: it reads these messages again, and stores the same rows.
        }
    }

    private void storeAll(ConsumerRecords<String, String> records) throws SQLException, JsonProcessingException {
        for (var record : records) {
            if (record.value() != null) { // null deletes a key of a compacted topic
                store(Json.MAPPER.readTree(record.value()), record.value());
            }
        }
    }

    private void store(JsonNode event, String value) throws SQLException {
        String type = event.get("type").asText();
        String eventId = event.get("event_id").asText();
        // Types without records, such as a device's state, are identified by their events.
        String identity = event.path("record_id").asText(eventId);
        int revision = event.path("revision").asInt(0);
        if (event.has("position")) { // a part of a record
            int position = event.get("position").asInt();
            execute(storePart, type, identity, revision, position, eventId, value, identity, revision);
        } else {
            execute(storeRecord, type, identity, revision, eventId, value);
            execute(deleteOldParts, identity, revision);
        }
    }

    private static void execute(PreparedStatement statement, Object... values) throws SQLException {
        for (int i = 0; i < values.length; i++) {
            statement.setObject(i + 1, values[i]);
        }
        statement.executeUpdate();
    }
}
