"""DeleteTopics (key 20), versions 1-6.

Version notes: v4 flexible; v5 a message; v6 by id as well as by name.

The broker's own topics can be deleted too: with ``__consumer_offsets`` go all groups, with ``__transaction_state`` all
transactional ids. Who looks for a coordinator then has them made anew.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rota.model import ErrorCode, KafkaError
from rota.wire.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_NO_ID = bytes(16)


def handle(broker: Broker, message: DeleteTopicsRequest, request: Request) -> DeleteTopicsResponse:
    if request.version >= 6:
        wanted = [(topic.name, topic.topic_id) for topic in message.topics]
    else:
        wanted = [(name, _NO_ID) for name in message.topic_names]
    response = DeleteTopicsResponse()
    found: dict[str, DeletableTopicResult] = {}
    for (name, topic_id), times in Counter(wanted).items():
        result = DeletableTopicResult(name=name, topic_id=topic_id)
        response.responses.append(result)
        try:
            if times > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "named more than once")
            topic = _find(broker, result)
            if topic in found:  # by its name and by its id
                raise KafkaError(ErrorCode.INVALID_REQUEST, "named more than once")
            found[topic] = result
        except KafkaError as error:
            result.error_code, result.error_message = error.code, error.message
    broker.topics.write_off(list(found))
    for topic, result in found.items():
        try:
            broker.delete_topic(topic)
        except KafkaError as error:
            result.error_code, result.error_message = error.code, error.message
    return response


def _find(broker: Broker, result: DeletableTopicResult) -> str:
    """The name of a topic that may be deleted; ``result`` tells its id, too. Raises ``KafkaError``."""
    if (result.name is None) == (result.topic_id == _NO_ID):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "give either the topic's name or its id")
    if result.name is None:
        topic = broker.topics.by_id(result.topic_id)
        missing = ErrorCode.UNKNOWN_TOPIC_ID
    else:
        topic = broker.topics.get(result.name)
        missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if topic is None:
        raise KafkaError(missing, "there is no such topic")
    if not broker.settings.bool("delete.topic.enable"):
        raise KafkaError(ErrorCode.TOPIC_DELETION_DISABLED, "delete.topic.enable is false")
    result.name, result.topic_id = topic.name, topic.id
    return topic.name
