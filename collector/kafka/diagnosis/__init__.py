"""Why Kafka cannot be used: `brokers` when a client fails, `probe` before the daemon starts. Changes nothing."""
