"""How an example ends: what goes wrong is told in one line, and whatever ends it, its programs end first."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from confluent_kafka import KafkaException
from examples.children import ChildEndedError

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run"]


def run(main: Callable[[], int]) -> NoReturn:
    """Run it, and exit with its code; 130 for Ctrl+C, 143 for SIGTERM."""
    signal.signal(signal.SIGTERM, _asked_to_end)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (ChildEndedError, RotaError, TimeoutError) as error:
        sys.exit(f"error: {error}")
    except KafkaException as error:
        sys.exit(f"error: {error.args[0].str()}")


def _asked_to_end(*_: object) -> NoReturn:
    sys.exit(143)
