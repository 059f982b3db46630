"""A process that applies records to a database, one after the other, and may be killed between any two steps.

`python -m tests.consumer.sql_process DATABASE COMMITTED CHANCE SEED UPTO STOP_AT INSIDE`: begins at the offset in the
file COMMITTED and writes there how far it is. At every step it kills itself with this CHANCE. Ends before the offset
UPTO. Stops itself (SIGSTOP) before the record at STOP_AT, when it has it in hand, and in the transaction of the one
at INSIDE.
"""

import os
import signal
import sys
from pathlib import Path
from random import Random
from typing import Any

from tests.consumer.messages import SomeMessage, context_of

from rota.consumer import sql
from rota.consumer.core.policy import SkipRecordError
from rota.consumer.effects.databases import Answer, Dialect, Statement, ask
from rota.model import RotaError


class Life:
    def __init__(self, database: Any, committed: Path, chance: float, seed: int) -> None:
        self.database = database
        self.committed = committed
        self.chance = chance
        self.random = Random(seed)
        self.add = f"INSERT INTO bookings VALUES ({'?' if isinstance(database, str) else '%s'})"

    def step(self) -> None:
        if self.random.random() < self.chance:
            os.kill(os.getpid(), signal.SIGKILL)

    def handle(self, at: int, known: int, inside: int) -> None:
        try:
            with context_of([SomeMessage(at)], committed=known).sql(self.database) as tx:
                self.step()
                tx.execute(self.add, (at,))
                self.step()
                if at == inside:
                    os.kill(os.getpid(), signal.SIGSTOP)
        except SkipRecordError:
            pass
        except RotaError as error:
            # The others are far ahead, and have applied this record long ago; that it was this one, nobody knows.
            if "cannot be told" not in str(error):
                raise
        self.step()

    def commit(self, offset: int) -> None:
        part = self.committed.with_suffix(f".{os.getpid()}")
        part.write_text(str(offset))
        part.rename(self.committed)

    def run(self, upto: int, stop_at: int, inside: int) -> None:
        known = at = int(self.committed.read_text())
        while at < upto:
            if at == stop_at:
                os.kill(os.getpid(), signal.SIGSTOP)
            self.handle(at, known, inside)
            at += 1
            if self.random.random() < 0.2:
                self.commit(at)
                known = at


def main(address: str, committed: Path, chance: float, numbers: list[int]) -> None:
    seed, upto, stop_at, inside = numbers
    sql._PRUNE_EVERY = 3
    sql._KEPT = 5
    database: Any = address
    if address.startswith("postgresql"):
        from psycopg_pool import ConnectionPool

        database = ConnectionPool(address, min_size=1, max_size=1, open=True)
    life = Life(database, committed, chance, seed)

    def dying(connection: Any, statement: Statement, dialect: Dialect) -> Answer:
        life.step()
        return ask(connection, statement, dialect)

    vars(sql)["ask"] = dying
    life.run(upto, stop_at, inside)


if __name__ == "__main__":
    _, given_address, given_path, given_chance, *given_numbers = sys.argv
    main(given_address, Path(given_path), float(given_chance), [int(number) for number in given_numbers])
