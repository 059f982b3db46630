"""librdkafka's errors, sorted and in words."""

import logging

import pytest
from confluent_kafka import KafkaError, KafkaException

from rota.consumer.clients.client_errors import (
    CarefulLog,
    Outage,
    client_log,
    commit_error,
    guarded,
    in_words,
    is_final,
    may_pass,
    of_the_client,
)
from rota.model import ErrorCode

ALL_DOWN, TRANSPORT, AUTHENTICATION, MAX_POLL, FATAL, FENCED = -187, -195, -169, -147, -150, -144


@pytest.mark.parametrize(
    ("code", "means"),
    [
        (ErrorCode.REBALANCE_IN_PROGRESS, "later"),
        (ErrorCode.COORDINATOR_NOT_AVAILABLE, "later"),
        (TRANSPORT, "later"),
        (ErrorCode.ILLEGAL_GENERATION, "lost"),
        (ErrorCode.UNKNOWN_MEMBER_ID, "lost"),
        (ErrorCode.STALE_MEMBER_EPOCH, "lost"),
        (ErrorCode.FENCED_MEMBER_EPOCH, "lost"),
        (ErrorCode.FENCED_INSTANCE_ID, "fenced"),
        (FENCED, "fenced"),
        (ErrorCode.GROUP_AUTHORIZATION_FAILED, "final"),
        (ErrorCode.OFFSET_METADATA_TOO_LARGE, "final"),
    ],
)
def test_what_a_refused_commit_means(code: int, means: str) -> None:
    error = commit_error(KafkaError(code))
    said = [name for name in ("fenced", "lost", "final") if getattr(error, name)]
    assert said == ([] if means == "later" else [means])
    assert str(error) == KafkaError(code).str()


@pytest.mark.parametrize(
    ("code", "final", "words"),
    [
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, False, "the topic orders does not exist (any more)"),
        (
            -140,
            True,
            "a partition of orders has no record where the group would begin, and auto.offset.reset=error",
        ),
        (MAX_POLL, False, "did not poll for max.poll.interval.ms; it joins again"),
        (ErrorCode.INCONSISTENT_GROUP_PROTOCOL, True, "no partition.assignment.strategy in common"),
        (
            ErrorCode.FENCED_INSTANCE_ID,
            True,
            "another member has this group.instance.id now, and only one can",
        ),
        (ErrorCode.TOPIC_AUTHORIZATION_FAILED, True, "the client says: "),
        (ErrorCode.GROUP_AUTHORIZATION_FAILED, True, "the client says: "),
        (FATAL, True, "the client says: "),
        (TRANSPORT, False, "the client says: "),
    ],
)
def test_what_comes_instead_of_a_record(code: int, final: bool, words: str) -> None:
    assert is_final(KafkaError(code)) is final
    assert words in in_words(KafkaError(code), "orders")


def test_what_may_pass() -> None:
    assert may_pass(KafkaError(ErrorCode.NOT_COORDINATOR))
    assert may_pass(KafkaError(ErrorCode.NONE, "by its own word", False, True))
    assert not may_pass(KafkaError(ErrorCode.GROUP_AUTHORIZATION_FAILED))


def test_what_the_client_raises_is_one_line_and_keeps_its_cause() -> None:
    raised = KafkaException(KafkaError(TRANSPORT, "two\nlines"))
    told = of_the_client(raised)
    assert str(told) == "the client says: two lines"
    assert told is not None
    assert told.__cause__ is raised
    assert of_the_client(ValueError("somebody else's")) is None


def test_an_outage_is_told_once_with_its_reason_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    heard: list[object] = []
    outage = Outage("kafka:9092", heard.append)
    said = "Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)"
    refused = KafkaError(TRANSPORT, f"kafka:9092/bootstrap: {said}")
    for error in (refused, KafkaError(ALL_DOWN), refused, KafkaError(ALL_DOWN)):
        outage(error)
    assert outage.on
    outage.over()
    outage.over()
    outage(KafkaError(ALL_DOWN))
    assert caplog.messages == [
        "waiting: no broker of kafka:9092 answers (Connection refused); going on as soon as one does",
        "going on: kafka:9092 answers again",
        "waiting: no broker of kafka:9092 answers; going on as soon as one does",
    ]
    assert len(heard) == 5


def test_a_login_that_is_refused_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("kafka:9092")
    refused = KafkaError(
        AUTHENTICATION,
        "sasl_plaintext://kafka:9092/bootstrap: SASL authentication error: Bad password (after 3ms in state AUTH_REQ)",
    )
    outage(refused)
    outage(refused)
    assert caplog.messages == ["kafka:9092 refused the connection: SASL authentication error: Bad password"]


def test_what_is_told_in_words_is_not_told_twice(caplog: pytest.LogCaptureFixture) -> None:
    logger = client_log()
    assert client_log() is logger
    assert len(logger.filters) == 1
    for level in (logging.INFO, logging.DEBUG):
        caplog.clear()
        caplog.set_level(level, logger.name)
        logger.error("%s [rdkafka#consumer-1] refused", "FAIL")
        logger.warning("CONFWARN [rdkafka#consumer-1] acks is a producer property")
        expected = ["CONFWARN [rdkafka#consumer-1] acks is a producer property"]
        if level == logging.DEBUG:
            expected.insert(0, "FAIL [rdkafka#consumer-1] refused")
        assert caplog.messages == expected


def test_what_a_callback_of_the_application_raises_is_logged_and_goes_no_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_error: object) -> None:
        raise RuntimeError("the metrics are away")

    outage = Outage("kafka:9092", broken)
    outage(KafkaError(ALL_DOWN))
    assert outage.on
    assert "error_cb of the configuration raised" in caplog.text
    assert "the metrics are away" in caplog.text
    with pytest.raises(TypeError, match="stats_cb is 5; it must be a function"):
        guarded("stats_cb", 5)  # type: ignore[arg-type]


def test_a_log_handler_that_raises_does_not_disturb_the_client() -> None:
    class Broken(logging.Handler):
        heard = 0

        def emit(self, record: logging.LogRecord) -> None:
            self.heard += 1
            raise RuntimeError(record.getMessage())

    logger = logging.getLogger("a client's own")
    handler = Broken()
    logger.addHandler(handler)
    try:
        CarefulLog(logger).log(logging.ERROR, "%s of %s", "FAIL", "a broker")
    finally:
        logger.removeHandler(handler)
    assert handler.heard == 1
