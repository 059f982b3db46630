"""``rota groups validate-regex``: whether brokers take a regular expression to subscribe by (KIP-848)."""

from __future__ import annotations

import click

from rota.cli.output import emit, printable
from rota.model import RotaError

__all__ = ["validate_regex"]


@click.command("validate-regex")
@click.argument("pattern")
def validate_regex(pattern: str) -> None:
    """Say whether PATTERN is a regular expression of RE2's language, as brokers read subscriptions. Asks no broker.

    \b
    Examples:
      rota groups validate-regex 'orders-.*'
      rota groups validate-regex '(?!internal-).*'
    """
    from rota.coordinator.re2 import PatternError, compile_pattern

    try:
        compile_pattern(pattern)
    except PatternError as error:
        raise RotaError(f"the regular expression `{pattern}` is invalid: {error}") from None
    emit(printable(f"The regular expression `{pattern}` is valid."))
