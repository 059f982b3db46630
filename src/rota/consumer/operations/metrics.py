"""Prometheus metrics: made when somebody scrapes, from a snapshot and from what was counted.

Needs prometheus-client (the extra ``metrics``), which is imported only here. Series of partitions are those of
the partitions that are ours: they go when those go. Labels are names of topics, handlers and the group, numbers
of partitions and a handful of words; never a key, an id or an error text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from rota.consumer.operations.counts import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from rota.consumer.operations.counts import Counts, Durations
    from rota.consumer.operations.snapshot import PartitionState, State

__all__ = ["ConsumerCollector", "exposition"]

_P = "rota_consumer_"


class ConsumerCollector(Collector):
    """For a registry: ``REGISTRY.register(running.collector())``.

    ``look``: a snapshot, or None if the owner does not answer: then only what can be told without it is.
    """

    def __init__(
        self,
        group: str,
        look: Callable[[], State | None],
        silent_ms: Callable[[], int],
        counts: Counts,
        durations: Mapping[str, Durations],
    ) -> None:
        self._group = group
        self._look = look
        self._silent_ms = silent_ms
        self._counts = counts
        self._durations = durations

    def collect(self) -> Iterator[Metric]:
        state = self._look()
        if state is not None:
            yield from self._of_partitions(state.partitions)
            yield from self._of_handlers(state)
        yield from self._of_records()
        yield from self._of_commits()
        yield from self._of_rebalances()
        yield self._gauge(
            "owner_silent_seconds", "Since the owner thread last turned", (), [((), self._silent_ms() / 1000)]
        )

    def _of_partitions(self, partitions: Sequence[PartitionState]) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "kafka_consumer_lag",
            "Records of a partition behind what this member's group has committed",
            labels=("topic", "partition", "consumer_group"),
        )
        for each in partitions:
            if each.lag is not None:
                lag.add_metric((each.topic, str(each.partition), self._group), each.lag)
        yield lag
        told: list[tuple[str, str, Callable[[PartitionState], float | None]]] = [
            ("position", "The next offset to be fetched", lambda p: p.position),
            ("committed_offset", "The committed offset", lambda p: p.committed),
            ("partition_in_flight", "Records fetched and not done", lambda p: p.in_flight),
            ("partition_paused", "1: nothing is fetched, by a limit or on request", lambda p: bool(p.paused)),
            (
                "blocking_record_age_seconds",
                "How long the first record that is not done has held the partition",
                lambda p: p.blocking.age_ms / 1000 if p.blocking else 0,
            ),
            (
                "blocking_record_attempts",
                "Attempts that the first record that is not done has had",
                lambda p: p.blocking.attempts if p.blocking else 0,
            ),
        ]
        for name, words, value in told:
            rows = [((each.topic, str(each.partition)), value(each)) for each in partitions]
            yield self._gauge(
                name, words, ("topic", "partition"), [(row, v) for row, v in rows if v is not None]
            )
        yield self._gauge("assigned_partitions", "Partitions that are ours", (), [((), len(partitions))])

    def _of_handlers(self, state: State) -> Iterator[Metric]:
        every = state.handlers
        rows: Sequence[tuple[str, str, Callable[[int], float]]] = [
            ("in_flight", "Records fetched and not done", lambda at: every[at].in_flight),
            ("in_flight_limit", "How many may be under way", lambda _: state.in_flight_limit),
            ("workers", "Handlers that run at once, at the most", lambda at: every[at].concurrency),
            ("workers_busy", "Workers that are at a record", lambda at: every[at].busy),
            (
                "longest_running_seconds",
                "How long the slowest running record has been running",
                lambda at: every[at].longest_ms / 1000,
            ),
        ]
        for name, words, value in rows:
            yield self._gauge(
                name, words, ("handler",), [((each.name,), value(at)) for at, each in enumerate(every)]
            )
        yield self._counter(
            "records_done", "Records that were handled", ("handler",), [((h.name,), h.done) for h in every]
        )

    def _of_records(self) -> Iterator[Metric]:
        counts = self._counts
        yield self._counter(
            "records_fetched",
            "Records handed to handlers",
            ("topic",),
            [((topic,), number) for topic, number in list(counts.fetched_of.items())],
        )
        yield self._counter(
            "failures",
            "Attempts that failed, by what became of the record",
            ("topic", "action"),
            [(row, number) for row, number in list(counts.failed_as.items())],
        )
        for name, words, counter in (
            ("records_skipped", "Records that a handler skipped", counts.skipped_of),
            ("slow_records", "Records that took longer than Limits.slow", counts.slow_of),
        ):
            yield self._counter(
                name, words, ("topic",), [((topic,), number) for topic, number in list(counter.items())]
            )
        yield self._histogram(
            "handler_seconds",
            "How long handlers took for a record (or for a batch)",
            ("handler",),
            [((name,), durations) for name, durations in self._durations.items()],
        )

    def _of_commits(self) -> Iterator[Metric]:
        counts = self._counts
        yield self._histogram("commit_seconds", "How long commits took", (), [((), counts.commit_s)])
        yield self._counter(
            "commit_failures", "Commits that were not taken", (), [((), counts.commits_failed)]
        )
        if counts.last_commit_ms is not None:
            yield self._gauge(
                "last_commit_timestamp_seconds",
                "When a commit was last confirmed, in seconds since 1970",
                (),
                [((), counts.last_commit_ms / 1000)],
            )

    def _of_rebalances(self) -> Iterator[Metric]:
        yield self._histogram(
            "rebalance_seconds",
            "How long partitions that came or went held up the owner: waiting for handlers, committing",
            ("kind",),
            [((kind,), durations) for kind, durations in self._counts.rebalance_s.items()],
        )

    # Families with the group in front of their labels.

    def _gauge(
        self,
        name: str,
        words: str,
        labels: tuple[str, ...],
        rows: Iterable[tuple[tuple[str, ...], float]],
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(_P + name, words, labels=("consumer_group", *labels))
        for values, number in rows:
            family.add_metric((self._group, *values), number)
        return family

    def _counter(
        self,
        name: str,
        words: str,
        labels: tuple[str, ...],
        rows: Iterable[tuple[tuple[str, ...], float]],
    ) -> CounterMetricFamily:
        family = CounterMetricFamily(_P + name, words, labels=("consumer_group", *labels))
        for values, number in rows:
            family.add_metric((self._group, *values), number)
        return family

    def _histogram(
        self,
        name: str,
        words: str,
        labels: tuple[str, ...],
        rows: Iterable[tuple[tuple[str, ...], Durations]],
    ) -> HistogramMetricFamily:
        family = HistogramMetricFamily(_P + name, words, labels=("consumer_group", *labels))
        for values, durations in rows:
            histogram = durations.read()
            reached, buckets = 0, []
            for bound, count in zip([*map(str, BOUNDS), "+Inf"], histogram.counts, strict=True):
                reached += count
                buckets.append((bound, float(reached)))
            family.add_metric((self._group, *values), buckets, sum_value=histogram.total)
        return family


class _Both(Collector):
    """The process's own registry, where applications keep their metrics, and ours."""

    def __init__(self, ours: ConsumerCollector) -> None:
        self._ours = ours

    def collect(self) -> Iterable[Metric]:
        ours = list(self._ours.collect())
        names = {family.name for family in ours}
        yield from ours
        # An application may have put our collector into its own registry as well.
        yield from (family for family in REGISTRY.collect() if family.name not in names)


def exposition(collector: ConsumerCollector, accept: str) -> tuple[bytes, str]:
    """A page and its media type, for what a scraper accepts."""
    encoder, kind = choose_encoder(accept)
    return encoder(_Both(collector)), kind
