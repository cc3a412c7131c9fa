import java.util.Map;
import org.apache.kafka.common.internals.Topic;
import org.apache.kafka.server.policy.CreateTopicPolicy;

/** Applies the rules to new topics. */
public final class TopicCreation implements CreateTopicPolicy {
    private Rules rules;

    @Override
    public void configure(Map<String, ?> properties) {
        rules = new Rules(properties);
    }

    @Override
    public void validate(RequestMetadata topic) {
        if (Topic.isInternal(topic.topic())) { // the brokers create these with settings of their own
            return;
        }
        rules.verifyConfigs(topic.configs());
        if (topic.replicationFactor() != null) { // null if the client assigns the replicas
            rules.verifyReplicationFactor(topic.replicationFactor());
        }
    }

    @Override
    public void close() {}
}
