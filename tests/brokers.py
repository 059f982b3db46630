"""Either broker behind one set of methods."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tests.kafka.server import RealKafka

# Short sessions are allowed so that a crash is noticed soon; no delay before the first rebalance of a group.
QUICK = {"group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": "1000"}


class BrokerUnderTest(Protocol):
    kind: str
    bootstrap_servers: str

    @property
    def data_dir(self) -> Path: ...
    def restart(self) -> None: ...
    def kill(self) -> None: ...
    def start(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def new_broker(
    kind: str, data_dir: Path | None = None, config: Mapping[str, str] | None = None
) -> BrokerUnderTest:
    """A broker that starts when entered as a context manager; without `data_dir` its data goes with it."""
    settings = QUICK | dict(config or {})
    if kind == "kafka":
        return RealKafka(settings, data_dir)
    from tests.rota_process import RotaBroker

    return RotaBroker(settings, data_dir)
