"""The embedded broker: Kafka's protocol on one node, one thread and one event loop.

Start one with ``run``; put one inside your own program with ``rota.testing.Broker``.
"""

from rota.broker.options import BrokerOptions

__all__ = ["BrokerOptions", "run"]


def run(options: BrokerOptions) -> int:
    """Run a broker until it is told to stop; the exit code. Raises ``RotaError``."""
    import gc

    gc.disable()  # until it is warm: what is loaded now stays, and nothing of it needs to be looked at
    from rota.broker.node import run as run_node

    return run_node(options)
