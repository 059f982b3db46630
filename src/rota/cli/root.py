"""The command ``rota`` itself: its list of commands."""

from __future__ import annotations

from typing import Any

import click

from rota import __version__
from rota.cli.lazy import LazyGroup

__all__ = ["PipeClosedError", "root"]

COMMANDS = {
    "broker": ("rota.cli.broker:broker", "Run a Kafka-compatible broker on this machine."),
    "topics": ("rota.cli.topics:topics", "Create, list, describe and delete topics."),
    "produce": ("rota.cli.produce:produce", "Write records: web events, a file, or lines typed in."),
    "consume": ("rota.cli.consume:consume", "Read records, alone or as a member of a group."),
    "run": ("rota.cli.run_app:run_app", "Run the handlers of a Python module."),
    "groups": ("rota.cli.groups:groups", "List groups; describe their offsets, lag, members and state."),
    "top": ("rota.cli.top:top", "Watch all groups, one group or one member, live in the terminal."),
    "doctor": ("rota.cli.doctor:doctor", "Say what is wrong with a group, why, and what to do."),
    "dlq": ("rota.cli.dlq:dlq", "Show dead letters, and send them back."),
    "plan": ("rota.cli.plan:plan", "Work out who would get which partition, without a cluster."),
    "lab": ("rota.cli.lab:lab", "Watch a consumer group rebalance live, and steer it."),
    "timeline": ("rota.cli.timeline:timeline", "Say from a recording why a group rebalanced."),
    "web": ("rota.cli.web:web", "Watch every group in a browser, live."),
    "exporter": ("rota.cli.exporter:exporter", "Serve lag, members and states of all groups to Prometheus."),
    "completion": ("rota.cli.completion:completion", "Print the script for completion in your shell."),
}


class PipeClosedError(Exception):
    """Whoever read the output has had enough; click would make a failure of it, which it is not."""


class Root(LazyGroup):
    """The outermost group."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and keep a closed pipe out of click's hands."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise PipeClosedError from None


@click.group(
    cls=Root,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="rota %(version)s")
def root() -> None:
    """Run, watch and rehearse Kafka consumer groups.

    Every command but `broker`, `run`, `plan`, `timeline` and `completion` talks to the cluster at --bootstrap-server
    (or ROTA_BOOTSTRAP_SERVER; 127.0.0.1:9092 if neither is given): Rota's own broker or any other Kafka.

    \b
    A first tour, each line in its own terminal:
      rota broker --memory
      rota topics create web-events-partitioned --partitions 3
      rota consume web-events-partitioned --group tour --print-key --print-partition
      rota produce web-events-partitioned --events --rate 5
      rota groups describe tour --watch 2

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 `doctor` found something wrong, or the plan of
    `groups reset-offsets` is not all that was asked for; 130 ended by Ctrl+C, 143 by SIGTERM
    (`broker`, `exporter`, `lab`, `run` and `web` then end with 0).
    """
