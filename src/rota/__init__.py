"""Run, watch and rehearse Kafka consumer groups."""

__version__ = "0.1.0"

__all__ = ["__version__"]
