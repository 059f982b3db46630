"""What operators see: state, health, metrics, spans, timeline."""
