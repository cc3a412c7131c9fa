package consumers;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** The values of messages: JSON trees, so that a program depends on no more fields than it reads. */
final class Json {
    static final ObjectMapper MAPPER = new ObjectMapper();
    static final Serde<JsonNode> SERDE = Serdes.serdeFrom((topic, node) -> write(node), (topic, bytes) -> read(bytes));

    private Json() {}

    private static byte[] write(JsonNode node) {
        try {
            return node == null ? null : MAPPER.writeValueAsBytes(node);
        } catch (JsonProcessingException error) {
            throw new SerializationException(error);
        }
    }

    private static JsonNode read(byte[] bytes) {
        try {
            return bytes == null ? null : MAPPER.readTree(bytes);
        } catch (IOException error) {
            throw new SerializationException(error);
        }
    }
}
