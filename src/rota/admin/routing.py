"""Whom to ask: the brokers of a cluster, their connections, and who coordinates or leads what."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from rota.admin.errors import ConnectionFailedError, error_of, unreachable
from rota.admin.opening import open_connection
from rota.monitor.facts import Node
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.metadata import MetadataRequest, MetadataResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator

    from rota.admin.connection import Connection
    from rota.admin.security import Security
    from rota.model import KafkaError
    from rota.wire.messages.find_coordinator import Coordinator
    from rota.wire.schema import Message

__all__ = ["GROUP", "TRANSACTION", "Brokers", "chunks"]

GROUP, TRANSACTION = 0, 1
"""What FindCoordinator is asked for."""

REFUSED_GRACE_S = 1.5
"""How long a refused connection is tried again: a broker that is just starting gets this much time."""

SEE_AGAIN_S = 0.05
LONGEST_REST_S = 0.5
SILENT_SHARE, LEAST_SILENCE_S = 0.5, 0.5
"""How long a broker may owe an answer and say nothing, as a share of the time that a question has: then somebody else
has half of it left.
"""

ANOTHER_AFTER_S = 2.0
"""How long one of several brokers may take to answer what any of them could."""

MANY_COORDINATORS = 4
"""The version of FindCoordinator from which on one request asks for several (KIP-699)."""

COORDINATORS_AT_ONCE = 1_000

_T = TypeVar("_T")
_M = TypeVar("_M", bound="Message")


def chunks(things: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Lists of at most ``size`` of them, in order."""
    left = iter(things)
    while piece := list(islice(left, size)):
        yield piece


def _look_at(task: asyncio.Task[Connection]) -> None:
    if not task.cancelled():
        task.exception()


class Brokers:
    """The brokers behind ``bootstrap``. Everything here runs in the event loop's thread."""

    def __init__(
        self,
        bootstrap: str,
        known: list[tuple[str, int]],
        security: Security,
        client_id: str,
        timeout_s: float,
    ) -> None:
        self.bootstrap = bootstrap
        self.nodes: dict[int, Node] = {}
        self.controller: int | None = None
        self.cluster_id = ""
        self._known = known
        self._security = security
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._silence_s = timeout_s  # where nobody else can be asked
        self._connections: dict[tuple[str, int], Connection] = {}
        self._opening: dict[tuple[str, int], asyncio.Task[Connection]] = {}
        self._failed_at: dict[tuple[str, int], float] = {}
        self._coordinators: dict[tuple[int, str], int] = {}

    # Connections

    async def node(self, number: int) -> Connection:
        """The connection to one broker. Raises ``ConnectionFailedError``."""
        if number not in self.nodes:
            await self.learn_nodes()
        if number not in self.nodes:
            raise ConnectionFailedError(f"broker {number} is not there")
        found = self.nodes[number]
        return await self._connection((found.host, found.port))

    async def learn_nodes(self) -> None:
        """Ask who is there."""
        self.keep(await self.ask_any(MetadataRequest(topics=[]), MetadataResponse))

    def keep(self, answer: MetadataResponse) -> None:
        """Remember the brokers that an answer tells of."""
        if answer.brokers:
            self.nodes = {
                each.node_id: Node(each.node_id, each.host, each.port, each.rack) for each in answer.brokers
            }
        if len(self.nodes) > 1:
            self._silence_s = max(self._timeout_s * SILENT_SHARE, LEAST_SILENCE_S)
            for connection in self._connections.values():
                connection.silence_s = self._silence_s
        self.controller = answer.controller_id if answer.controller_id >= 0 else None
        self.cluster_id = answer.cluster_id or ""

    async def ask_any(self, request: Message, expected: type[_M]) -> _M:
        """The answer of whichever broker gives one first; raises what ``with_any`` raises."""
        return await self.with_any(lambda connection: connection.ask(request, expected))

    async def with_any(self, use: Callable[[Connection], Awaitable[_T]]) -> _T:
        """What ``use`` makes of a connection to any broker; another one's if that breaks or is slow.

        Raises:
            RotaError: nobody answers.
            KafkaError: what ``use`` raises.
        """
        loop = asyncio.get_running_loop()
        started, rest_s, limit_s = loop.time(), SEE_AGAIN_S, ANOTHER_AFTER_S
        while True:
            failures: list[ConnectionFailedError] = []
            slow = False
            for address in (candidates := self._candidates()):
                try:
                    async with asyncio.timeout(limit_s if len(candidates) > 1 else None):
                        return await use(await self._connection(address))
                except ConnectionFailedError as failure:
                    failures.append(failure)
                except TimeoutError:
                    slow = True
                    self._failed_at[address] = loop.time()
                    failures.append(ConnectionFailedError(f"{address[0]}:{address[1]} does not answer"))
            hopeless = any(failure.hopeless for failure in failures)
            # Whoever is only slow gets more time with every round.
            patience_s = self._timeout_s if slow else REFUSED_GRACE_S
            if hopeless or loop.time() - started > patience_s:
                raise unreachable(self.bootstrap, failures)
            await asyncio.sleep(rest_s)
            rest_s, limit_s = min(2 * rest_s, LONGEST_REST_S), 2 * limit_s

    def close(self) -> None:
        """End every connection."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _candidates(self) -> list[tuple[str, int]]:
        """Every address that is known: open connections first, those that failed last."""
        every = [(node.host, node.port) for node in self.nodes.values()]
        every += [address for address in self._known if address not in every]

        def rank(address: tuple[str, int]) -> tuple[float, bool]:
            connection = self._connections.get(address)
            is_open = connection is not None and connection.failure is None
            return self._failed_at.get(address, 0.0), not is_open

        return sorted(every, key=rank)

    async def _connection(self, address: tuple[str, int]) -> Connection:
        found = self._connections.get(address)
        now = asyncio.get_running_loop().time()
        if found is not None and found.failure is None and (now < found.expires_at or not found.is_idle):
            return found
        if address not in self._opening:
            opening = self._opening[address] = asyncio.create_task(self._open(address))
            opening.add_done_callback(_look_at)  # also when nobody waits for it any longer
        # Whoever gives up does not take the connection from the others that wait for it.
        return await asyncio.shield(self._opening[address])

    async def _open(self, address: tuple[str, int]) -> Connection:
        try:
            if (old := self._connections.pop(address, None)) is not None:
                old.close()
            made = await open_connection(*address, self._security, self._client_id, silence_s=self._silence_s)
        except ConnectionFailedError:
            self._failed_at[address] = asyncio.get_running_loop().time()
            raise
        else:
            self._failed_at.pop(address, None)
            self._connections[address] = made
            return made
        finally:
            del self._opening[address]

    # Coordinators

    async def coordinators(
        self, names: Collection[str], kind: int = GROUP
    ) -> dict[str, int | KafkaError | ConnectionFailedError]:
        """The broker that coordinates each group (or transactional id), asked for where it is not known."""
        found: dict[str, int | KafkaError | ConnectionFailedError] = {}
        unknown = []
        for name in names:
            at = self._coordinators.get((kind, name))
            if at is None:
                unknown.append(name)
            else:
                found[name] = at
        if unknown:
            for name, answer in (await self._find(unknown, kind)).items():
                found[name] = answer
                if isinstance(answer, int):
                    self._coordinators[kind, name] = answer
        return found

    def forget(self, names: Collection[str], kind: int = GROUP) -> None:
        """Ask anew who coordinates them when it is next needed."""
        for name in names:
            self._coordinators.pop((kind, name), None)

    def keep_only(self, groups: Collection[str]) -> None:
        """Forget who coordinates any other group; who needs it asks anew."""
        known = self._coordinators
        gone = {name for kind, name in known if kind == GROUP} - set(groups)
        self.forget(gone)

    async def _find(self, names: list[str], kind: int) -> dict[str, int | KafkaError]:
        async def ask(connection: Connection) -> list[FindCoordinatorResponse]:
            assert connection.versions is not None
            if connection.versions.best(FindCoordinatorRequest.api_key) >= MANY_COORDINATORS:
                requests = [
                    FindCoordinatorRequest(key_type=kind, coordinator_keys=each)
                    for each in chunks(names, COORDINATORS_AT_ONCE)
                ]
            else:
                requests = [FindCoordinatorRequest(key_type=kind, key=name) for name in names]
            return await asyncio.gather(*(connection.ask(each, FindCoordinatorResponse) for each in requests))

        answers = await self.with_any(ask)
        if answers[0].coordinators:
            each = [found for answer in answers for found in answer.coordinators]
            return {found.key: self._coordinator(found) for found in each}
        return {name: self._coordinator(answer) for name, answer in zip(names, answers, strict=False)}

    def _coordinator(self, found: Coordinator | FindCoordinatorResponse) -> int | KafkaError:
        if (error := error_of(found.error_code, found.error_message)) is not None:
            return error
        self.nodes.setdefault(found.node_id, Node(found.node_id, found.host, found.port))
        return found.node_id

    def node_at(self, connection: Connection) -> Node | None:
        """The broker at the other end."""
        for node in self.nodes.values():
            if f"{node.host}:{node.port}" == connection.address:
                return node
        return None
