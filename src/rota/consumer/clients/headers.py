"""Reading a record's headers, whatever they are.

confluent-kafka cannot read headers one of whose names is no UTF-8: `Message.headers` raises SystemError, and
when it is called once more it gives out a list with a hole in it, which ends the process with a segmentation
fault as soon as somebody touches it. So everything in the runtime asks here, and nobody asks the client twice.
"""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rota.consumer.clients.client import Message

__all__ = ["Headers", "headers_of"]

Headers = list[tuple[str, bytes | None]]

_call = methodcaller("headers")
"""A plain call, once it is quick, does not look whether there was an exception: CPython trusts methods written in C
where it has specialised the call.
"""

_MOST = 10_000
_unreadable: dict[tuple[str, int, int], None] = {}
"""Records whose headers could not be read; of too many the oldest are forgotten: they are long gone."""


def headers_of(message: Message) -> Headers | None:
    """Names and values in their order; None if the client cannot read them."""
    if _unreadable and _name(message) in _unreadable:
        return None
    try:
        found: Any = _call(message)
    except (SystemError, UnicodeDecodeError):
        _unreadable[_name(message)] = None
        while len(_unreadable) > _MOST:
            _unreadable.pop(next(iter(_unreadable)), None)
        return None
    return found or []


def _name(message: Message) -> tuple[str, int, int]:
    return message.topic(), message.partition(), message.offset()
