"""The garbage collector, where thousands of records are under way.

Python looks for cycles after every 700 new objects (2,000 in later versions), as if most of them should be dead by
then. Records under way are not, and each look goes through them: a sixth of all that a batch handler costs.
"""

from __future__ import annotations

import gc
import logging

__all__ = ["calm"]

log = logging.getLogger("rota.consumer")

_UNTOUCHED = frozenset({(700, 10, 10), (2000, 10, 10), (2000, 10, 0)})
"""What Python begins with, in its several versions."""
_OBJECTS = 50_000
"""More than `Limits.in_flight` has as a rule: then records do not set it off at all."""


def calm() -> None:
    """Let it look after every 50,000 new objects, for the whole process; an application that has chosen by itself
    (`gc.set_threshold`, `gc.disable`) keeps what it has.
    """
    if gc.isenabled() and gc.get_threshold() in _UNTOUCHED:
        gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
        log.info(
            "garbage is looked for after every %d new objects; gc.set_threshold says otherwise", _OBJECTS
        )
