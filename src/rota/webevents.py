"""Keyed web events for lessons and labs: the same seed gives the same events, one by one, for ever.

A key is a user (``user-3``), so that all of one user's events reach one partition in order. With ``skew``
above 0 users are drawn by Zipf's law: the n-th is n ** -skew times as busy as the first, which makes a hot
partition.
"""

from __future__ import annotations

import bisect
import itertools
import json
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["web_events"]

EVENT_TYPES = ("page_view", "click", "search", "add_to_cart", "purchase")
EVENT_WEIGHTS = (50, 25, 12, 9, 4)
PAGES = ("/", "/products", "/products/42", "/cart", "/checkout", "/search", "/account")


def web_events(seed: int = 0, users: int = 100, skew: float = 0.0) -> Iterator[tuple[bytes, bytes]]:
    """Endless (key, value) pairs; the value is one JSON object with the event's number, type, user and page.

    Times are left to the records' own timestamps, so that two runs with one seed are equal byte for byte.
    """
    if users < 1:
        raise ValueError("users must be 1 or more")
    if skew < 0:
        raise ValueError("skew must be 0 or more")
    rng = random.Random(seed)  # noqa: S311  # a repeatable story, no secret
    shares = list(itertools.accumulate((rank + 1) ** -skew for rank in range(users)))
    for number in itertools.count(1):
        user = f"user-{bisect.bisect_left(shares, rng.random() * shares[-1]) + 1}"
        (kind,) = rng.choices(EVENT_TYPES, EVENT_WEIGHTS)
        event = {"event": number, "type": kind, "user": user, "page": rng.choice(PAGES)}
        yield user.encode(), json.dumps(event, separators=(",", ":")).encode()
