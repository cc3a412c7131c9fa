"""Where it goes: knows bytes, topics and partitions; no stream, no ledger. The only folder with aiokafka."""
