"""Program of PythonProcessMember: runs one member and prints its events and records as JSON lines until
SIGTERM.
"""

import json
import signal
import sys
from collections.abc import Mapping
from types import FrameType

from tests.clients.kinds import THREAD_MEMBERS
from tests.clients.member import MemberConfig
from tests.kafka.ports import wait_until


def say(line: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    settings = json.loads(sys.argv[1])
    config = MemberConfig(**settings | {"topics": tuple(settings["topics"])})
    member = THREAD_MEMBERS[config.client](config)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        member.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    member.start()
    events = records = 0

    def report() -> bool:
        nonlocal events, records
        for event in member.events[events:]:
            line = {"kind": event.kind, "partitions": sorted(event.partitions), "detail": event.detail}
            say(line)
            events += 1
        for record in member.records[records:]:
            say({"record": [record.topic, record.partition, record.offset]})
            records += 1
        return "closed" in member.kinds()

    wait_until("the member is told to stop", report, timeout_s=600)
    member.stop()
    report()


if __name__ == "__main__":
    main()
