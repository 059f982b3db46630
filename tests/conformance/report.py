"""A pytest plugin that shows, test by test, what Rota's broker and Apache Kafka did: `make conformance`.

Of the tests that were collected it keeps those that look at a broker from outside: each that runs once a broker
(`broker_kind`), and each that asks both and compares (`both`). A row is a test, with a column a broker:

    ok                            passed
    FAILED                        failed, or passed where a difference was expected
    expected difference: why      failed as its mark says
    not run: why                  skipped

`--json FILE` writes the same as JSON. The exit code is pytest's: 1 on any unexpected result on either side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

__all__ = ["BROKERS", "Row", "Table", "drawn"]

BROKERS: Final = "rota", "kafka"
OK, FAILED = "ok", "FAILED"


@dataclass(slots=True)
class Row:
    """One test; `results` by broker. `compares`: one run asked both, and Kafka's answers were the measure."""

    name: str
    compares: bool = False
    results: dict[str, str] = field(default_factory=dict)

    def note(self, broker: str, result: str) -> None:
        """Of several results (set-up, call, tear-down) the worst stays."""
        if self.results.get(broker, OK) == OK:
            self.results[broker] = result


class Table:
    """The rows, in the order of the tests."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._places: dict[str, tuple[str, str | None]] = {}  # node id -> row's name, broker

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept: list[pytest.Item] = []
        left: list[pytest.Item] = []
        for item in items:
            (kept if self._takes(item) else left).append(item)
        items[:] = kept
        config.hook.pytest_deselected(items=left)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name, broker = self._places[report.nodeid]
        result = _result(report)
        if broker is not None:
            self.rows[name].note(broker, result)
            return
        self.rows[name].note("rota", result)
        # Kafka is the measure: where the answers differ, it is Rota's that are wrong.
        self.rows[name].note(
            "kafka", OK if report.when == "call" and not result.startswith("not run") else result
        )

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        self.rows = {
            name: row for name, row in self.rows.items() if row.results
        }  # left out by -k, or not reached
        terminalreporter.section("conformance")
        for line in drawn(list(self.rows.values())):
            terminalreporter.write_line(line)
        target = config.getoption("--json")
        if target is not None:
            Path(target).write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")

    def as_json(self) -> dict[str, object]:
        """{"totals": {broker: {kind: count}}, "tests": [{"name", "compares", broker: result}]}"""
        rows = list(self.rows.values())
        return {
            "totals": {broker: totals(rows, broker) for broker in BROKERS},
            "tests": [{"name": row.name, "compares": row.compares, **row.results} for row in rows],
        }

    def _takes(self, item: pytest.Item) -> bool:
        callspec = getattr(item, "callspec", None)
        broker = None if callspec is None else callspec.params.get("broker_kind")
        compares = broker is None and "both" in getattr(item, "fixturenames", ())
        if broker is None and not compares:
            return False
        name = item.nodeid if broker is None else _without(item.nodeid, broker)
        self.rows.setdefault(name, Row(name, compares))
        self._places[item.nodeid] = name, broker
        return True


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--json", metavar="FILE", help="write the conformance table to this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Table(), "conformance table")


def totals(rows: list[Row], broker: str) -> dict[str, int]:
    """How many results of each kind."""
    kinds: dict[str, int] = {}
    for row in rows:
        if broker in row.results:
            kind = row.results[broker].partition(":")[0]
            kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def drawn(rows: list[Row]) -> list[str]:
    """The table as lines, and the totals."""
    cells = [("test", *BROKERS)]
    cells += [(row.name, row.results.get("rota", "–"), row.results.get("kafka", "–")) for row in rows]
    first = max(len(name) for name, *_ in cells)
    lines = [f"{name:{first}} | {rota:6} | {kafka}" for name, rota, kafka in cells]
    lines.insert(1, f"{'-' * first}-|-{'-' * 6}-|-{'-' * 6}")
    for broker in BROKERS:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(totals(rows, broker).items()))
        lines.append(f"{broker}: {counts or 'nothing run'}")
    return lines


def _result(report: pytest.TestReport) -> str:
    expected = getattr(report, "wasxfail", None)
    if report.failed:
        return FAILED
    if expected is not None:
        return f"expected difference: {expected.removeprefix('reason: ')}"
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        return f"not run: {reason.removeprefix('Skipped: ')}"
    return OK


def _without(nodeid: str, broker: str) -> str:
    """The node id without the broker among its parameters."""
    name, bracket, parameters = nodeid.partition("[")
    if not bracket:
        return name
    words = parameters.removesuffix("]").split("-")
    words.remove(broker)
    return f"{name}[{'-'.join(words)}]" if words else name
