"""The settings of consumer groups (KIP-848) that go together: a broker does not start with those that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.model import RotaError

if TYPE_CHECKING:
    from rota.broker.settings import Settings

__all__ = ["check_consumer_groups", "consumer_assignors", "migrates"]

_ASSIGNORS: Final = "group.consumer.assignors"
_MIGRATION: Final = "group.consumer.migration.policy"
_HEARTBEAT: Final = "heartbeat.interval.ms"
_SESSION: Final = "session.timeout.ms"

_ASSIGNOR_CLASSES: Final = {
    "org.apache.kafka.coordinator.group.assignor.UniformAssignor": "uniform",
    "org.apache.kafka.coordinator.group.assignor.RangeAssignor": "range",
}


def consumer_assignors(settings: Settings) -> tuple[str, ...]:
    """The names in ``group.consumer.assignors``, each once; Apache Kafka's two may be given by their classes.

    Raises ``RotaError`` for another one, and for none.
    """
    given = list(filter(None, map(str.strip, settings.text(_ASSIGNORS).split(","))))
    names = dict.fromkeys(_ASSIGNOR_CLASSES.get(each, each) for each in given)
    known = _ASSIGNOR_CLASSES.values()
    if not names or not names.keys() <= set(known):
        raise _error(settings, _ASSIGNORS, ", ".join(known))
    return tuple(names)


def migrates(settings: Settings, direction: str) -> bool:
    """Whether groups with members go from one protocol to the other; ``direction`` is upgrade or downgrade."""
    return settings.text(_MIGRATION).lower() in (direction, "bidirectional")


def check_consumer_groups(settings: Settings) -> None:
    """Whether the settings of consumer groups are within their limits. Raises ``RotaError``."""
    consumer_assignors(settings)
    for kind in (_HEARTBEAT, _SESSION):
        name, least, greatest = (f"group.consumer.{which}{kind}" for which in ("", "min.", "max."))
        if settings.int(least) > settings.int(greatest):
            raise _error(settings, least, f"at most {settings.int(greatest)} ({greatest})")
        if not settings.int(least) <= settings.int(name) <= settings.int(greatest):
            limits = f"{settings.int(least)} to {settings.int(greatest)}"
            raise _error(settings, name, f"{limits} ({least}, {greatest})")
    heartbeat, session = f"group.consumer.{_HEARTBEAT}", f"group.consumer.{_SESSION}"
    if settings.int(heartbeat) >= settings.int(session):
        raise _error(settings, heartbeat, f"less than {settings.int(session)} ({session})")


def _error(settings: Settings, name: str, allowed: str) -> RotaError:
    return RotaError(f"config {name}={settings.text(name)}: allowed is {allowed}", exit_code=2)
