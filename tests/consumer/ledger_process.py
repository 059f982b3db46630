"""A process that does one effect through the ledger and is killed at a point of its life.

`python -m tests.consumer.ledger_process DATABASE EFFECTS AMBIGUOUS POINT`: the effect is a line in the file EFFECTS.
POINT counts the steps between which a process can die; -1: none. Prints what came of it.
"""

import os
import signal
import sys
from pathlib import Path
from typing import cast

from rota.consumer.core.later import RetryLaterError
from rota.consumer.effects.databases import Answer, Statement
from rota.consumer.effects.statements import Statements
from rota.consumer.ledger import AmbiguousChoice, Ledger

KEY = "mail 1"


def main(database: str, effects: Path, ambiguous: AmbiguousChoice, point: int) -> None:
    steps = 0

    def step() -> None:
        nonlocal steps
        if steps == point:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1

    run = Statements.run

    def dying(self: Statements, statement: Statement) -> Answer:
        step()
        answer = run(self, statement)
        step()
        return answer

    Statements.run = dying  # type: ignore[method-assign]

    def verify(key: str) -> bool:
        return key in effects.read_text().splitlines()

    ledger = Ledger(
        database, lease_s=0.05, ambiguous=ambiguous, verify=verify if ambiguous == "verify" else None
    )
    while True:
        try:
            with ledger.once(KEY) as claim:
                if claim:
                    step()
                    with effects.open("a") as file:
                        file.write(f"{KEY}\n")
                    step()
            break
        except RetryLaterError:
            continue
    sys.stdout.write(f"steps {steps}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), cast("AmbiguousChoice", sys.argv[3]), int(sys.argv[4]))
