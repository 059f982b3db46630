"""Who does the records: threads, an event loop, processes."""
