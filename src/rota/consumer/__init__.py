"""The consumer that survives: handlers instead of a poll loop."""
