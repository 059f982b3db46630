"""From a function and its options to a `HandlerSpec`. Every mistake is a RotaError that names the option."""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from rota.consumer.adapters import adapted
from rota.consumer.core.policy import DeadLetter, Retry
from rota.consumer.failed.retry_topics import RetryTopics
from rota.consumer.handlers import OPTIONS, Batch, HandlerSpec
from rota.consumer.naming import check_known
from rota.consumer.payloads import annotated, custom, raw_value
from rota.consumer.signatures import signature
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rota.consumer.core.ordering import NullKey, Order
    from rota.consumer.handlers import Hooks
    from rota.consumer.signatures import Signature

__all__ = ["Defaults", "check_choice", "check_count", "check_topics", "decoding", "specify"]

_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_KINDS = {"batch": Batch, "retry": Retry, "retry_topics": RetryTopics, "dead_letter": DeadLetter}
CHOICES = {
    "order": ("key", "partition", "none"),
    "null_key": ("partition", "none"),
    "workers": ("auto", "threads", "processes"),
    "on_failure": ("stop", "skip"),
}


class Defaults(NamedTuple):
    """What the App says for all its handlers."""

    order: Order = "key"
    concurrency: int = 16
    null_key: NullKey = "partition"


def specify(
    name: str,
    function: Callable[..., Any],
    topics: tuple[str, ...],
    options: Mapping[str, Any],
    defaults: Defaults,
    *,
    names: Mapping[str, Any],
    hooks: Hooks | None = None,
) -> HandlerSpec:
    """``names``: what annotations may name besides the function's globals. The topics are checked already."""
    check_known(options, OPTIONS, f"the handler {name}")
    given = {option: value for option, value in options.items() if value is not None}
    _check_values(name, given)
    says = signature(function, names)
    batch = given.get("batch")
    _check_batch(name, says, batch)
    value, key = given.get("value"), given.get("key")
    decode, call = decoding(function, names, value=value, key=key, many=batch is not None)
    workers = _workers(name, says, given.pop("workers", "auto"))
    spec = HandlerSpec(
        name=name,
        topics=topics,
        function=call,
        source=function,
        kind="async" if says.is_async else "sync",
        workers=workers,
        decode=decode,
        hooks=hooks,
        **{**_defaults_for(workers, defaults), **given},
    )
    _check_together(spec)
    return spec


def check_choice(where: str, option: str, value: object) -> None:
    """One of a few words."""
    if value not in CHOICES[option]:
        words = ", ".join(map(repr, CHOICES[option]))
        raise RotaError(f"{where}: {option} is {value!r}; it is one of {words}")


def check_count(where: str, option: str, value: object) -> None:
    """A whole number, 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RotaError(f"{where}: {option} is {value!r}; it must be a whole number, 1 or more")


def check_topics(name: str, topics: Sequence[object], others: Iterable[HandlerSpec]) -> tuple[str, ...]:
    """Names and patterns (``^…``) that no other handler has."""
    checked = tuple(_topic(name, topic) for topic in topics)
    if not checked:
        raise RotaError("a handler wants the name of a topic: @app.handler('orders')")
    for topic in {topic for topic in checked if checked.count(topic) > 1}:
        raise RotaError(f"the handler {name} names the topic {topic} twice")
    for other in others:
        for mine, theirs in ((mine, theirs) for mine in checked for theirs in other.topics):
            if _meet(mine, theirs):
                both = mine if mine == theirs else f"{mine} and {theirs}"
                raise RotaError(
                    f"{both}: {other.name} and {name} would both handle its records; a record is handled once"
                )
    return checked


def _topic(name: str, topic: object) -> str:
    if callable(topic):
        raise RotaError(f"{name}: write @app.handler('topic') above it, with the topic's name")
    if not isinstance(topic, str):
        raise RotaError(f"the handler {name}: a topic is a string, not {topic!r}")
    if topic.startswith("^"):
        try:
            re.compile(topic)
        except re.error as error:
            raise RotaError(f"the handler {name}: the pattern {topic} cannot be read: {error}") from error
    elif not _TOPIC.fullmatch(topic):
        raise RotaError(
            f"the handler {name}: {topic!r} cannot be a topic's name (1 to 249 of a-z A-Z 0-9 . _ -); "
            "a pattern begins with ^"
        )
    return topic


def _meet(one: str, other: str) -> bool:
    """Whether both name the same topic, as far as one can tell without a cluster."""
    if one.startswith("^") == other.startswith("^"):
        return one == other
    pattern, name = (one, other) if one.startswith("^") else (other, one)
    return re.match(pattern, name) is not None


def _check_values(name: str, given: Mapping[str, Any]) -> None:
    where = f"the handler {name}"
    for option, kind in _KINDS.items():
        if option in given and not isinstance(given[option], kind):
            raise RotaError(f"{where}: {option} is {given[option]!r}; it wants a {kind.__name__}(…)")
    for option in CHOICES:
        if option in given:
            check_choice(where, option, given[option])
    if "concurrency" in given:
        check_count(where, "concurrency", given["concurrency"])
    rate = given.get("rate", 1)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise RotaError(f"{where}: rate is {rate!r}; it must be a number of records per second, above 0")
    if not isinstance(given.get("exactly_once", False), bool):
        raise RotaError(f"{where}: exactly_once is {given['exactly_once']!r}; it is True or False")


def _check_batch(name: str, says: Signature, batch: Batch | None) -> None:
    if says.many and batch is None:
        raise RotaError(f"the handler {name} takes Records: give it batch=Batch(…), or let it take a Record")
    if says.many is False and batch is not None:
        raise RotaError(f"the handler {name} has a batch, and takes a Record: let it take Records")


def decoding(
    function: Callable[..., Any], names: Mapping[str, Any], *, value: Any, key: Any, many: bool
) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
    """What a message's value becomes, and what to call with (record or records, context); ``value`` and ``key``
    are the options of these names.
    """
    says = signature(function, names)
    decode = custom(value, "value") if value is not None else annotated(says.payload)
    call = adapted(
        function,
        is_async=says.is_async,
        takes_context=says.takes_context,
        many=many,
        value=decode,
        key=custom(key, "key") if key is not None else None,
    )
    return decode or raw_value, call


def _workers(name: str, says: Signature, asked: str) -> Any:
    if says.is_async:
        if asked != "auto":
            raise RotaError(
                f"the handler {name} is async and runs on an event loop: workers={asked!r} is for functions "
                "that are not"
            )
        return "loop"
    return "threads" if asked == "auto" else asked


def _defaults_for(workers: str, defaults: Defaults) -> dict[str, Any]:
    """What the app says for all, unless that is more processes than processors."""
    options = defaults._asdict()
    if workers == "processes":
        options["concurrency"] = min(defaults.concurrency, os.cpu_count() or 1)
    return options


def _check_together(spec: HandlerSpec) -> None:
    where = f"the handler {spec.name}"
    if spec.exactly_once and spec.workers == "processes":
        raise RotaError(
            f"{where}: exactly_once does not go with workers='processes': what they produce cannot join the "
            "transaction; use threads"
        )
    if spec.retry_topics is not None and spec.patterns:
        raise RotaError(
            f"{where}: retry_topics are named after topics, and {spec.patterns[0]} is a pattern; name the topics"
        )
    if spec.dead_letter is not None:
        for topic in spec.topics:
            if _meet(topic, spec.dead_letter.topic):
                raise RotaError(
                    f"{where}: its dead-letter topic {spec.dead_letter.topic} is among its own topics ({topic}): "
                    "what fails would come back for ever"
                )
