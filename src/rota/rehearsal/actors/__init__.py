"""The programs of a rehearsal: each runs as a process of its own and records its part of the timeline."""
