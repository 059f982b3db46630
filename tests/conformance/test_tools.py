"""Apache Kafka's own command-line tools say of Rota's broker what they say of Apache Kafka's.

Every subcommand, the same lines to both, and what they print compared. Ids, ports, times and the words of the broker's
errors are left out.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.brokers import BrokerUnderTest
from tests.clients.desk import Desk
from tests.conformance.shell import Shell
from tests.conformance.tools_cluster import SCENARIOS as CLUSTER
from tests.conformance.tools_configs import SCENARIOS as CONFIGS
from tests.conformance.tools_groups import SCENARIOS as GROUPS
from tests.conformance.tools_records import SCENARIOS as RECORDS
from tests.conformance.tools_topics import SCENARIOS as TOPICS
from tests.java.tools import JavaTools

SCENARIOS: dict[str, Callable[[Shell], None]] = {
    each.__name__: each for each in (*TOPICS, *GROUPS, *CONFIGS, *RECORDS, *CLUSTER)
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_same_words(
    scenario: str, both: tuple[BrokerUnderTest, BrokerUnderTest], java_tools: JavaTools
) -> None:
    ours, theirs = (_session(java_tools, broker, scenario).steps for broker in both)
    assert len(ours) == len(theirs) > 0
    found = [
        f"{one.line}\n--- Rota {one.code}\n{one.out}{one.err}\n--- Kafka {other.code}\n{other.out}{other.err}"
        for one, other in zip(ours, theirs, strict=True)
        if one != other
    ]
    assert not found, "\n\n".join(found)


def _session(tools: JavaTools, broker: BrokerUnderTest, scenario: str) -> Shell:
    with Desk(broker) as desk:
        shell = Shell(tools, broker, desk, scenario.replace("_", "-"))
        SCENARIOS[scenario](shell)
        return shell
