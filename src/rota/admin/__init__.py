"""Questions and orders to a cluster in Kafka's own protocol: many groups, topics and partitions in one request."""
