"""Effects that happen once: in a database, in a Kafka transaction, or by a ledger."""
