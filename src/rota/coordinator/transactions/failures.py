"""When what the transaction coordinator decided could not be recorded: nobody may be told that it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.wire.messages.add_offsets_to_txn import AddOffsetsToTxnResponse
from rota.wire.messages.add_partitions_to_txn import AddPartitionsToTxnResponse
from rota.wire.messages.end_txn import EndTxnResponse
from rota.wire.messages.init_producer_id import InitProducerIdResponse

if TYPE_CHECKING:
    from rota.model import ErrorCode
    from rota.wire.schema import Message

__all__ = ["failed"]


def failed(response: Message, code: ErrorCode) -> Message:
    """The same answer, failed; errors stay what they are."""
    if isinstance(response, InitProducerIdResponse):
        return InitProducerIdResponse(
            error_code=response.error_code or code, producer_id=-1, producer_epoch=-1
        )
    if isinstance(response, EndTxnResponse):
        return EndTxnResponse(error_code=response.error_code or code)
    if isinstance(response, AddOffsetsToTxnResponse):
        return AddOffsetsToTxnResponse(error_code=response.error_code or code)
    assert isinstance(response, AddPartitionsToTxnResponse), f"{type(response).__name__} records nothing"
    topics = [
        *response.results_by_topic_v3_and_below,
        *(topic for each in response.results_by_transaction for topic in each.topic_results),
    ]
    for topic in topics:
        for partition in topic.results_by_partition:
            partition.partition_error_code = partition.partition_error_code or code
    return response
