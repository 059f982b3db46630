"""Asking about many things at once, each at the broker that knows it, and again where that has just changed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from rota.admin.errors import ConnectionFailedError, is_moving, no_answer, refusal
from rota.admin.routing import LONGEST_REST_S, SEE_AGAIN_S, chunks
from rota.model import ErrorCode, KafkaError, RotaError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from rota.admin.connection import Connection
    from rota.admin.routing import Brokers

__all__ = ["Failure", "Question", "ask_in_chunks"]

Failure = KafkaError | ConnectionFailedError

ASKS_FOR_A_LEADER = 4
"""How often a partition without a leader is asked about again: it may just be getting one."""

_K = TypeVar("_K")
_V = TypeVar("_V")


async def ask_in_chunks(
    things: Iterable[_K], size: int, ask: Callable[[list[_K]], Awaitable[dict[_K, _V]]]
) -> dict[_K, _V]:
    """Ask about at most ``size`` at a time, without waiting for one answer before the next is asked for."""
    found: dict[_K, _V] = {}
    for answers in await asyncio.gather(*map(ask, chunks(things, size))):
        found |= answers
    return found


class Question(Generic[_K, _V]):
    """One question about many things.

    ``places`` says which broker to ask about each (or why nobody can be), ``forget`` that it was wrong. ``ask`` puts
    the question to one broker: for each thing a value, or a ``KafkaError``. ``doing`` are words for people about one.
    """

    def __init__(
        self,
        brokers: Brokers,
        *,
        places: Callable[[Collection[_K]], Awaitable[dict[_K, int | Failure]]],
        forget: Callable[[Collection[_K]], None],
        ask: Callable[[Connection, list[_K]], Awaitable[dict[_K, _V | KafkaError]]],
        doing: Callable[[_K], str],
    ) -> None:
        self._brokers = brokers
        self._places = places
        self._forget = forget
        self._ask = ask
        self._doing = doing
        self._found: dict[_K, _V | RotaError] = {}
        self._why: dict[_K, Failure] = {}
        self._unled: defaultdict[_K, int] = defaultdict(int)

    async def answer(self, things: Collection[_K], timeout_s: float) -> dict[_K, _V | RotaError]:
        """What is known of each after ``timeout_s`` at most. Raises ``RotaError`` if no broker answers at all."""
        order = list(dict.fromkeys(things))
        try:
            async with asyncio.timeout(timeout_s):
                await self._spread(order, SEE_AGAIN_S)
        except TimeoutError:
            pass
        found = self._found
        for thing in order:
            if thing not in found:
                found[thing] = no_answer(self._doing(thing), timeout_s, self._why.get(thing))
        return found

    async def _spread(self, things: list[_K], rest_s: float) -> None:
        """Ask all brokers at once; each part is asked again by itself, so that none waits for another."""
        if not things:
            return
        batches: defaultdict[int, list[_K]] = defaultdict(list)
        again = []
        for thing, place in (await self._places(things)).items():
            if isinstance(place, int):
                batches[place].append(thing)
            elif self._settle(thing, place):
                again.append(thing)
        if len(batches) == 1 and not again:  # needs no task of its own
            ((number, batch),) = batches.items()
            await self._batch(number, batch, rest_s)
            return
        async with asyncio.TaskGroup() as group:
            for number, batch in batches.items():
                group.create_task(self._batch(number, batch, rest_s))
            if again:
                group.create_task(self._repeat(again, rest_s, broken=False))

    async def _batch(self, number: int, things: list[_K], rest_s: float) -> None:
        broken = False
        answers: dict[_K, _V | Failure] = {}
        try:
            connection = await self._brokers.node(number)
            answers.update(await self._ask(connection, things))
        except ConnectionFailedError as failure:
            broken = True
            answers = dict.fromkeys(things, failure)
        except KafkaError as error:
            answers = dict.fromkeys(things, error)
        except RotaError as unreachable:
            self._found |= dict.fromkeys(things, unreachable)
            return
        missing = KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "the broker's answer leaves it out")
        again = [thing for thing in things if self._settle(thing, answers.get(thing, missing))]
        await self._repeat(again, rest_s, broken=broken)

    async def _repeat(self, things: list[_K], rest_s: float, *, broken: bool) -> None:
        if not things:
            return
        await asyncio.sleep(rest_s)
        self._forget(things)
        try:
            if broken:
                await self._brokers.learn_nodes()
            await self._spread(things, min(2 * rest_s, LONGEST_REST_S))
        except RotaError as unreachable:
            self._found |= dict.fromkeys(things, unreachable)
        except KafkaError as error:
            self._found |= {thing: refusal(error, self._doing(thing)) for thing in things}

    def _settle(self, thing: _K, answer: _V | Failure) -> bool:
        """Keep an answer; whether to ask again instead."""
        if not isinstance(answer, KafkaError | ConnectionFailedError):
            self._found[thing] = answer
            return False
        if is_moving(answer) and self._may_get_a_leader(thing, answer):
            self._why[thing] = answer
            return True
        self._found[thing] = refusal(answer, self._doing(thing))
        return False

    def _may_get_a_leader(self, thing: _K, answer: Failure) -> bool:
        if isinstance(answer, KafkaError) and answer.code == ErrorCode.LEADER_NOT_AVAILABLE:
            self._unled[thing] += 1
            return self._unled[thing] <= ASKS_FOR_A_LEADER
        return True
