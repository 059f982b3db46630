"""`rota broker` that writes down where it is when it gets SIGUSR1: the fuzzer asks when nobody is answered."""

from __future__ import annotations

import faulthandler
import signal

from rota.cli import main

if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)
    main()
