"""The client libraries that the tests drive, and how to make a member of each."""

from tests.clients.aiokafka_member import AioKafkaMember
from tests.clients.confluent_member import ConfluentMember
from tests.clients.consumer_protocol import ConfluentConsumerMember
from tests.clients.kafka_python_member import KafkaPythonMember
from tests.clients.member import Member, MemberConfig, ThreadMember

THREAD_MEMBERS: dict[str, type[ThreadMember]] = {
    "confluent": ConfluentMember,
    "kafka-python": KafkaPythonMember,
    "aiokafka": AioKafkaMember,
    "confluent-848": ConfluentConsumerMember,
}

# These use the classic protocol; those of KIP-848 have tests of their own.
PYTHON_CLIENTS = ("confluent", "kafka-python", "aiokafka")

# Without Go, tests with this one are skipped (or where CI=true fail); `conftest.py` sees to that.
FRANZ_GO = "franz-go"
FRANZ_GO_848 = "franz-go-848"
WITH_FRANZ_GO = (*PYTHON_CLIENTS, FRANZ_GO)
# For tests that drive many libraries at the same time: without Go only half of them is skipped.
TOGETHER = (PYTHON_CLIENTS, (FRANZ_GO,))


def new_member(config: MemberConfig) -> Member:
    """A member in a thread, or for `java` and `franz-go` in a process."""
    if config.client == "java":
        from tests.clients.process import JavaMember

        return JavaMember(config)
    if config.client == "java-848":
        from tests.clients.consumer_protocol import JavaConsumerMember

        return JavaConsumerMember(config)
    if config.client in (FRANZ_GO, FRANZ_GO_848):
        from tests.clients.franz_go_member import FranzGoMember

        return FranzGoMember(config)
    return THREAD_MEMBERS[config.client](config)
