import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.PolicyViolationException;

/** What a rented service refuses. The rules are further properties of the broker; each may be absent. */
final class Rules {
    private final List<String> allowedConfigs;
    private final long minSegmentBytes;
    private final int replicationFactor;
    private final boolean isInvalidConfig;

    Rules(Map<String, ?> properties) {
        allowedConfigs = Arrays.asList(text(properties, "allowed.configs", "").split(","));
        minSegmentBytes = Long.parseLong(text(properties, "min.segment.bytes", "0"));
        replicationFactor = Integer.parseInt(text(properties, "replication.factor", "0"));
        isInvalidConfig = text(properties, "error", "POLICY_VIOLATION").equals("INVALID_CONFIG");
    }

    void verifyConfigs(Map<String, String> configs) {
        for (Map.Entry<String, String> config : configs.entrySet()) {
            if (!allowedConfigs.contains("") && !allowedConfigs.contains(config.getKey())) {
                throw refusal("Config '" + config.getKey() + "' is protected");
            }
        }
        String segment = configs.get("segment.bytes");
        if (segment != null && Long.parseLong(segment) < minSegmentBytes) {
            throw refusal("Config 'segment.bytes' is " + segment + ", and must be at least " + minSegmentBytes);
        }
    }

    void verifyReplicationFactor(int chosen) {
        if (replicationFactor != 0 && chosen != replicationFactor) {
            throw new PolicyViolationException("Replication factor is " + chosen + ", and must be " + replicationFactor);
        }
    }

    private RuntimeException refusal(String reason) {
        return isInvalidConfig ? new InvalidConfigurationException(reason) : new PolicyViolationException(reason);
    }

    private static String text(Map<String, ?> properties, String name, String otherwise) {
        Object value = properties.get("tests.policy." + name);
        return value == null ? otherwise : value.toString();
    }
}
