"""The version ranges are those that Apache Kafka 4.1 advertises."""

from __future__ import annotations

import pytest

from rota.wire.apis import APIS

# key: (first, last, first flexible or None), as a 4.1 broker's ApiVersions answer and its jar have them.
_KAFKA_4_1 = {
    1: (4, 18, 12), 2: (1, 10, 6), 3: (0, 13, 9), 8: (2, 9, 8), 9: (1, 9, 6), 10: (0, 6, 3), 11: (0, 9, 6),
    12: (0, 4, 4), 13: (0, 5, 4), 14: (0, 5, 4), 15: (0, 6, 5), 16: (0, 5, 3), 17: (0, 1, None), 18: (0, 4, 3),
    19: (2, 7, 5), 20: (1, 6, 4), 21: (0, 2, 2), 22: (0, 5, 2), 23: (2, 4, 4), 24: (0, 5, 3), 25: (0, 4, 3),
    26: (0, 5, 3), 27: (1, 1, 1), 28: (0, 5, 3), 29: (1, 3, 2), 30: (1, 3, 2), 31: (1, 3, 2), 32: (1, 4, 4),
    33: (0, 2, 2), 35: (1, 4, 2), 36: (0, 2, 2), 37: (0, 3, 2), 42: (0, 2, 2), 43: (0, 2, 2), 44: (0, 1, 1),
    45: (0, 1, 0), 46: (0, 0, 0), 47: (0, 0, None), 48: (0, 1, 1), 49: (0, 1, 1), 50: (0, 0, 0), 51: (0, 0, 0),
    55: (0, 2, 0), 57: (0, 2, 0), 60: (0, 2, 0), 61: (0, 0, 0), 65: (0, 0, 0), 66: (0, 2, 0), 68: (0, 1, 0),
    69: (0, 1, 0), 74: (0, 1, 0), 75: (0, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("key", _KAFKA_4_1)
def test_versions(key: int) -> None:
    api = APIS[key]
    assert (api.min_version, api.max_version, api.flexible_from) == _KAFKA_4_1[key]


def test_produce_is_declared_from_version_3() -> None:
    # Kafka advertises 0-13 and closes the connection on 0-2.
    assert (APIS[0].min_version, APIS[0].max_version, APIS[0].flexible_from) == (3, 13, 9)


def test_api_versions_answers_with_the_old_header() -> None:
    assert APIS[18].response_header_version(4) == 0
    assert APIS[18].request_header_version(3) == 2
    assert APIS[3].response_header_version(9) == 1
