"""A Confluent-compatible schema registry: the client, and why one cannot be used."""
