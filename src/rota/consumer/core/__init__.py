"""The heart of the runtime: tasks and lanes, the engine that hands them out and commits, the owner thread."""
