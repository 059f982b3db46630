"""Dead letters that would come back: what one handler cannot handle goes to a topic that another one reads, and
from there, over however many handlers, to the first again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.consumer.core.policy import reads
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.consumer.core.policy import Policy
    from rota.consumer.handlers import HandlerSpec

__all__ = ["refuse_circles"]


def refuse_circles(specs: Sequence[HandlerSpec], policies: Sequence[Policy]) -> None:
    """Raises RotaError if a record that nobody can handle would circle for ever. The policies are those of the
    handlers, in their order.
    """
    after = [_reader_of(policy, specs, policies) for policy in policies]
    for first in range(len(specs)):
        way = [first]
        while (reader := after[way[-1]]) is not None and reader not in way:
            way.append(reader)
        if reader == first:
            raise RotaError(_in_words([specs[at] for at in way]))


def _reader_of(policy: Policy, specs: Sequence[HandlerSpec], policies: Sequence[Policy]) -> int | None:
    """Which handler reads the dead letters that are written by this policy."""
    if policy.dead_letter is None:
        return None
    letters = policy.dead_letter.topic
    topics = [(*spec.topics, *other.retry_topics) for spec, other in zip(specs, policies, strict=True)]
    for at, named in enumerate(topics):  # who names a topic has it, whatever patterns others have
        if letters in named:
            return at
    return next((at for at, named in enumerate(topics) if any(reads(each, letters) for each in named)), None)


def _in_words(circle: Sequence[HandlerSpec]) -> str:
    names = [spec.name for spec in circle]
    steps = [
        f"{spec.name} to {spec.dead_letter.topic}, which {reader} reads"
        for spec, reader in zip(circle, [*names[1:], names[0]], strict=True)
        if spec.dead_letter is not None
    ]
    return (
        f"dead letters go in a circle: {'; '.join(steps)}: a record that cannot be handled would come for ever; "
        "give one of them a dead-letter topic that no handler reads"
    )
