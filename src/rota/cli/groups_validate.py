"""``rota groups validate-regex``: whether brokers take a regular expression to subscribe by (KIP-848)."""

from __future__ import annotations

import click

from rota.cli.options import json_option
from rota.cli.output import emit, emit_json, printable
from rota.model import RotaError

__all__ = ["validate_regex"]


@click.command("validate-regex")
@click.argument("pattern")
@json_option()
def validate_regex(pattern: str, as_json: bool) -> None:
    """Say whether PATTERN is a regular expression of RE2's language, as brokers read subscriptions. Asks no broker.

    \b
    Examples:
      rota groups validate-regex 'orders-.*'
      rota groups validate-regex '(?!internal-).*'
    """
    from rota.coordinator.re2 import PatternError, compile_pattern

    failure: PatternError | None = None
    try:
        compile_pattern(pattern)
    except PatternError as error:
        failure = error
    if as_json:
        emit_json(
            {
                "pattern": pattern,
                "valid": failure is None,
                "error": None if failure is None else str(failure),
            }
        )
    if failure is not None:
        raise RotaError(f"the regular expression `{pattern}` is invalid: {failure}")
    if not as_json:
        emit(printable(f"The regular expression `{pattern}` is valid."))
