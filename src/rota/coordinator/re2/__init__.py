"""Regular expressions in RE2's language, matched in time that grows with the text and never explodes.

Members of consumer groups subscribe by them (KIP-848), so they are strangers' programs that the broker runs. Python's
``re`` has another language (look-ahead, references) and can be made to run for ever.

``pattern = compile_pattern("orders-.*"); pattern.matches("orders-eu")``
"""

from __future__ import annotations

from rota.coordinator.re2.parser import PatternError
from rota.coordinator.re2.program import Pattern, compile_pattern

__all__ = ["Pattern", "PatternError", "compile_pattern"]
