"""Apache Kafka 4.1's group configs. Written by tools/declare_configs.py."""

ROWS: tuple[tuple[str | None, ...], ...] = (
    ("consumer.heartbeat.interval.ms", "int", "5000", "1.."),
    ("consumer.session.timeout.ms", "int", "45000", "1.."),
    ("share.auto.offset.reset", "string", "latest", "<offset-reset>"),
    ("share.heartbeat.interval.ms", "int", "5000", "1.."),
    ("share.isolation.level", "string", "read_uncommitted", "read_committed|read_uncommitted"),
    ("share.record.lock.duration.ms", "int", "30000", "1000.."),
    ("share.session.timeout.ms", "int", "45000", "1.."),
    ("streams.heartbeat.interval.ms", "int", "5000", "1.."),
    ("streams.num.standby.replicas", "int", "0", "0.."),
    ("streams.session.timeout.ms", "int", "45000", "1.."),
)
