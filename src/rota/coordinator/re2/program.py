"""A regular expression as a machine with many states at once (Thompson's construction): every character is looked at
once, in every state that the machine may be in, so the time is at most states times characters.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from rota.coordinator.re2.parser import PatternError, parse
from rota.coordinator.re2.syntax import Assertion, Choice, Node, One, Repeat, Sequence

__all__ = ["Pattern", "compile_pattern"]

_MOST_STATES: Final = 20_000
_END: Final = 0


class Pattern:
    """A compiled expression. A state is what is to be met there, and the states that come after it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._states: list[tuple[One | Assertion | None, tuple[int, ...]]] = [(None, ())]
        self._start = self._build(parse(text), _END)

    def matches(self, name: str) -> bool:
        """Whether the whole of ``name`` is matched."""
        current = self._reached([self._start], name, 0)
        for position, character in enumerate(name):
            after: list[int] = []
            for state in current:
                test, following = self._states[state]
                if isinstance(test, One) and test.accepts(character):
                    after += following
            if not after:
                return False
            current = self._reached(after, name, position + 1)
        return _END in current

    def _reached(self, states: list[int], text: str, position: int) -> set[int]:
        """These states and all that can be got to from them without a character."""
        reached: set[int] = set()
        while states:
            state = states.pop()
            if state in reached:
                continue
            reached.add(state)
            test, following = self._states[state]
            if test is None or (isinstance(test, Assertion) and test.holds(text, position)):
                states += following
        return reached

    def _add(self, test: One | Assertion | None, *following: int) -> int:
        if len(self._states) >= _MOST_STATES:
            raise PatternError("too large")
        self._states.append((test, following))
        return len(self._states) - 1

    def _build(self, node: Node, after: int) -> int:
        """The state where ``node`` begins, if ``after`` is where it goes on."""
        match node:
            case One() | Assertion():
                return self._add(node, after)
            case Sequence(parts):
                for part in reversed(parts):
                    after = self._build(part, after)
                return after
            case Choice(options):
                return self._add(None, *(self._build(option, after) for option in options))
            case Repeat(part, least, most):
                return self._repeat(part, least, most, after)

    def _repeat(self, part: Node, least: int, most: int | None, after: int) -> int:
        if most is None:
            loop = self._add(None)
            self._states[loop] = (None, (self._build(part, loop), after))
            start = loop
        else:
            start = after
            for _ in range(most - least):
                start = self._add(None, self._build(part, start), after)
        for _ in range(least):
            start = self._build(part, start)
        return start


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    """The machine for an expression.

    Raises:
        PatternError: it is none, or is too large.
    """
    return Pattern(text)
