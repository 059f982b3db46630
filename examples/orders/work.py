"""What both consumers do with an order: it takes its time, and they tell when they begin and when they are done."""

from __future__ import annotations

import argparse
import time

from examples.children import end_with_parent, report

__all__ = ["arguments", "process"]


def arguments() -> argparse.Namespace:
    """What both programs are told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--seconds", type=float, required=True, help="for one order")
    parser.add_argument("--max-poll-ms", type=int, required=True)
    parser.add_argument("--session-ms", type=int, required=True)
    options = parser.parse_args()
    end_with_parent()
    return options


def process(partition: int, offset: int, seconds: float) -> None:
    """One order: pack it, print the label, charge the card."""
    report("begins", partition=partition, offset=offset)
    time.sleep(seconds)
    report("finished", partition=partition, offset=offset)
