"""Lag, members, rebalances and findings as metrics for Prometheus."""
