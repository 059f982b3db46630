"""Records that failed, on their way to other topics: dead letters, retry topics."""
