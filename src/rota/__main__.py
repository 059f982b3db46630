"""``python -m rota`` is the command ``rota``."""

from rota.cli import main

main()
