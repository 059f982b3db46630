"""``rota exporter``: lag, members and states of all groups, for Prometheus."""

from __future__ import annotations

import signal
from importlib.resources import files
from typing import TYPE_CHECKING

import click

from rota.cli.options import FiniteRange, admin_options
from rota.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.admin import Admin
    from rota.watching.looking import Seen

__all__ = ["exporter"]

PORT = 9308
"""That of kafka_exporter: whoever comes from there need not change what scrapes."""

STYLES = ("native", "kafka_exporter", "kafka-lag-exporter", "kminion")
SHIPPED = {"dashboard": "dashboard.json", "alerts": "alerts.yml"}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option(
    "--port",
    "-p",
    default=PORT,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="0: any that is free.",
)
@click.option(
    "--interval",
    "interval_s",
    default=15.0,
    show_default=True,
    type=FiniteRange(min=0.1, max=3600),
    metavar="SECONDS",
    help="How often to look at the cluster.",
)
@click.option(
    "--window",
    "window_s",
    default=600.0,
    show_default=True,
    type=FiniteRange(min=10, max=86_400),
    metavar="SECONDS",
    help="Over which rates and levels are judged.",
)
@click.option(
    "--metrics-style",
    "names",
    multiple=True,
    default=("native",),
    show_default=True,
    type=click.Choice(STYLES),
    help="Under whose names; several times for several.",
)
@click.option(
    "--cluster-name",
    "cluster",
    default="kafka",
    show_default=True,
    metavar="NAME",
    help="For names that have a label for it (kafka-lag-exporter).",
)
@click.option(
    "--group", "-g", "groups", multiple=True, metavar="NAME", help="Watch this group only; several times."
)
@click.option(
    "--headers",
    default=2_000,
    show_default=True,
    type=click.IntRange(0, 1_000_000),
    metavar="N",
    help="Batch headers that a look may read for lag in seconds; 0 reads no record and searches by time.",
)
@click.option(
    "--print",
    "printed",
    type=click.Choice(tuple(SHIPPED)),
    help="Print the Grafana dashboard or the Prometheus alert rules for the native names, and end.",
)
@admin_options
def exporter(
    admin: Admin,
    host: str,
    port: int,
    interval_s: float,
    window_s: float,
    names: tuple[str, ...],
    cluster: str,
    groups: tuple[str, ...],
    headers: int,
    printed: str | None,
) -> int:
    """Serve lag in records and in seconds, members and states of all groups to Prometheus, at /metrics.

    A scrape is answered from memory, however slow the cluster is. It joins no group and changes nothing.

    \b
    Examples:
      rota exporter -b kafka-1:9092 --host 0.0.0.0
      rota exporter --metrics-style native --metrics-style kafka_exporter
      rota exporter --print alerts > /etc/prometheus/rota-alerts.yml
    """
    if printed is not None:
        click.echo((files("rota.exporter") / "data" / SHIPPED[printed]).read_text(encoding="utf-8"), nl=False)
        return 0
    from rota.exporter.page import Page
    from rota.exporter.serving import Exporter, styles
    from rota.watching.watch import Watch

    stops = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(
        signal.SIG_BLOCK, stops
    )  # of all threads: they are waited for, nothing is woken to look
    page = Page(styles(names, cluster))
    with (
        Watch(
            admin, groups=groups or None, interval_s=interval_s, window_s=window_s, headers=headers
        ) as watch,
        Exporter(watch, page, host, port, _telling()) as serving,
    ):
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"rota exporter ready on http://{shown}:{serving.port}/metrics")
        signal.sigwait(stops)
    return 0


def _telling() -> Callable[[Seen], None]:
    """Says what goes wrong once, and when all is well again."""
    before = ""

    def tell(seen: Seen) -> None:
        nonlocal before
        now = "" if seen.failure is None else str(seen.failure)
        if now != before:
            note(now or "the cluster answers again")
        before = now

    return tell
