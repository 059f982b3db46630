"""The Kafka client underneath: what the runtime asks of one, and confluent-kafka."""
