"""docs/consumer.md and the README say what there is, and their first examples run."""

from __future__ import annotations

import dataclasses
import re
import signal
from pathlib import Path

import pytest
from tests.cli.test_run import Run, at
from tests.consumer.kafka_tools import create, produce, total_committed
from tests.kafka.ports import wait_until

from rota.consumer import App, Batch, Limits
from rota.consumer.app import AppOptions
from rota.consumer.handlers import OPTIONS
from rota.consumer.settings import DEFAULTS
from rota.testing import Broker

ROOT = Path(__file__).parents[2]
PAGES = {
    "consumer.md": (ROOT / "docs/consumer.md").read_text(encoding="utf-8"),
    "README": (ROOT / "README.md")
    .read_text(encoding="utf-8")
    .partition("## Run consumers")[2]
    .partition("\n## ")[0],
}
PAGE = PAGES["consumer.md"]


@pytest.mark.parametrize("option", [*OPTIONS, *AppOptions.__annotations__])
def test_every_option_is_told(option: str) -> None:
    rows = re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE)
    assert any(f"`{option}`" in row for row in rows), option


@pytest.mark.parametrize("field", dataclasses.fields(Limits), ids=lambda field: field.name)
def test_every_limit_is_told_with_its_default(field: dataclasses.Field[object]) -> None:
    (row,) = re.findall(rf"^\| `{field.name}` \| ([^|]*) \|", PAGE, re.MULTILINE)
    default = field.default
    told = row.split()[0].replace(",", "")
    assert told == (str(default) if default != "" else "empty")


def test_what_the_runtime_sets_is_told_with_its_reason() -> None:
    rows = {
        name: (ours, theirs)
        for name, ours, theirs in re.findall(
            r"^\| `([\w.]+)` \| `?([^|`]*)`? \| `?([^|`]*)`? \|", PAGE, re.MULTILINE
        )
    }
    for name, (ours, theirs, _) in DEFAULTS.items():
        assert rows[name] == (str(ours), theirs)


def test_the_default_of_batches_is_told() -> None:
    assert f"`Batch(most={Batch().most}, wait_ms={Batch().wait_ms})`" in PAGE


@pytest.mark.parametrize("page", PAGES)
def test_its_python_can_be_read(page: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, page, "exec")


def test_its_class_is_a_handler() -> None:
    (block,) = [
        each for each in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "class Loader" in each
    ]
    app = App({})
    exec(block, {"app": app})
    assert [(spec.name, spec.order, spec.hooks is not None) for spec in app.handlers] == [
        ("Loader", "partition", True)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_its_first_example_runs(page: str, tmp_path: Path) -> None:
    first = re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL)[0]
    name = re.match(r"# (\w+)\.py\n", first)
    assert name is not None, "it begins with the name of its file"
    command = re.search(rf"rota run ({name[1]}:\w+)", PAGES[page])
    assert command is not None
    (tmp_path / f"{name[1]}.py").write_text(first, encoding="utf-8")
    with Broker() as broker:
        create(broker, "orders", 2)
        amounts = [7001.5 + number for number in range(10)]
        produce(broker, "orders", (b'{"customer": "ann", "amount": %f}' % amount for amount in amounts))
        with Run(tmp_path, command[1], *at(broker)) as running:
            for amount in amounts:  # threads print at once: a line may be mixed with others
                running.says(str(amount))
            wait_until("the commit", lambda: total_committed(broker, "orders", 2, "billing") == 10)
            running.signal(signal.SIGTERM)
            assert running.ended().code == 0
