"""Why groups rebalanced: read from what they recorded, or seen by asking again and again."""

from rota.monitor.rebalances.polled import PollReader
from rota.monitor.rebalances.reader import LogReader
from rota.monitor.rebalances.told import Cost, Told
from rota.monitor.rebalances.verdicts import Verdict

__all__ = ["Cost", "LogReader", "PollReader", "Told", "Verdict"]
