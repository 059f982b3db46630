"""Random ids are UUIDs of version 4."""

import uuid

from rota.ids import random_uuid, uuid_text


def test_an_id_is_a_random_uuid() -> None:
    made = {random_uuid() for _ in range(1000)}
    assert len(made) == 1000
    for raw in made:
        parsed = uuid.UUID(bytes=raw)
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)
        assert uuid_text(raw) == str(parsed)
