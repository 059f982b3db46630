"""The client libraries that the tests drive, and how to make a member of each."""

from tests.clients.aiokafka_member import AioKafkaMember
from tests.clients.confluent_member import ConfluentMember
from tests.clients.kafka_python_member import KafkaPythonMember
from tests.clients.member import Member, MemberConfig, ThreadMember

THREAD_MEMBERS: dict[str, type[ThreadMember]] = {
    "confluent": ConfluentMember,
    "kafka-python": KafkaPythonMember,
    "aiokafka": AioKafkaMember,
}


def new_member(config: MemberConfig) -> Member:
    """A member in a thread, or for `java` in a process."""
    if config.client == "java":
        from tests.clients.process import JavaMember

        return JavaMember(config)
    return THREAD_MEMBERS[config.client](config)
