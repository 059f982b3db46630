"""``rota exporter``: lag, members and states of all groups, for Prometheus."""

from __future__ import annotations

import signal
from importlib.resources import files
from typing import TYPE_CHECKING

import click

from rota.cli.options import admin_options
from rota.cli.output import note
from rota.cli.serving_options import listen_options, look_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.admin import Admin
    from rota.exporter.page import Page
    from rota.watching.looking import Seen
    from rota.watching.watch import Watch

__all__ = ["exporter"]

PORT = 9308
"""That of kafka_exporter: whoever comes from there need not change what scrapes."""

STYLES = ("native", "kafka_exporter", "kafka-lag-exporter", "kminion")
SHIPPED = {"dashboard": "dashboard.json", "alerts": "alerts.yml"}
STOPS = (signal.SIGINT, signal.SIGTERM)


@click.command()
@listen_options(PORT, "Where to listen.")
@look_options(interval_s=15.0, least_s=0.1)
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
    from rota.exporter.serving import styles
    from rota.watching.watch import Watch

    # Of all threads: they are waited for, nothing is woken to look.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    page = Page(styles(names, cluster))
    looks = Watch(admin, groups=groups or None, interval_s=interval_s, window_s=window_s, headers=headers)
    with looks as watch:
        _serve(watch, page, host, port)
    return 0


def _serve(watch: Watch, page: Page, host: str, port: int) -> None:
    """Until a signal."""
    from rota.exporter.serving import Exporter

    with Exporter(watch, page, host, port, _telling()) as serving:
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"rota exporter ready on http://{shown}:{serving.port}/metrics")
        signal.sigwait(STOPS)


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
