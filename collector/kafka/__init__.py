"""The output: bytes in topics and partitions, without streams or ledgers. The only package that imports aiokafka."""
