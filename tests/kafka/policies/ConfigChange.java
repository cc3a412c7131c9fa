import java.util.Map;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.internals.Topic;
import org.apache.kafka.server.policy.AlterConfigPolicy;

/** Applies the rules to changed settings of topics. */
public final class ConfigChange implements AlterConfigPolicy {
    private Rules rules;

    @Override
    public void configure(Map<String, ?> properties) {
        rules = new Rules(properties);
    }

    @Override
    public void validate(RequestMetadata change) {
        ConfigResource resource = change.resource();
        // Kafka also applies this policy to the settings of new topics, and to those that the brokers create.
        if (resource.type() == ConfigResource.Type.TOPIC && !Topic.isInternal(resource.name())) {
            rules.verifyConfigs(change.configs());
        }
    }

    @Override
    public void close() {}
}
