package consumers;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;

/** The arguments of a program: {@code --name value} for each option that has a default, and topics. */
record Options(Map<String, String> values, List<String> topics) {

    /** Returns the options, or ends the program if an option is unknown or has no value. */
    static Options parse(String[] arguments, Map<String, String> defaults) {
        var values = new TreeMap<>(defaults);
        values.putIfAbsent("kafka", "localhost:9092");
        values.putIfAbsent("prefix", "");
        values.putIfAbsent("client-config", "");
        var topics = new ArrayList<String>();
        for (int i = 0; i < arguments.length; i++) {
            if (!arguments[i].startsWith("--")) {
                topics.add(arguments[i]);
            } else if (i + 1 < arguments.length && values.containsKey(arguments[i].substring(2))) {
                values.put(arguments[i].substring(2), arguments[++i]);
            } else {
                System.err.println("Options, with their defaults: " + values);
                System.exit(2);
            }
        }
        return new Options(values, topics);
    }

    String get(String name) {
        return values.get(name);
    }

    /** Returns the name of a topic in Kafka: the collector's `kafka.topic_prefix`, and the name in events.md. */
    String topic(String name) {
        return get("prefix") + name;
    }

    /** Returns the settings of every Kafka client: those of the file, such as TLS and SASL, and the broker's address. */
    Properties clientSettings() throws IOException {
        var settings = new Properties();
        if (!get("client-config").isEmpty()) {
            try (var file = Files.newBufferedReader(Path.of(get("client-config")))) {
                settings.load(file);
            }
        }
        settings.put("bootstrap.servers", get("kafka"));
        return settings;
    }
}
