"""Which version of each API both sides know (ApiVersions, KIP-35)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode, KafkaError
from rota.wire.apis import APIS
from rota.wire.messages.api_versions import ApiVersionsRequest

if TYPE_CHECKING:
    from rota.wire.apis import Api
    from rota.wire.messages.api_versions import ApiVersionsResponse

__all__ = ["FIRST_ASKED", "Versions", "question"]

FIRST_ASKED = 3
"""The version of ApiVersions that is tried first: brokers since 2.4 know it, older ones say which they know."""

_SOFTWARE = "rota"


class Versions:
    """What one broker offers: the first and last version of each API that it told of."""

    def __init__(self, answer: ApiVersionsResponse) -> None:
        self._offered = {each.api_key: (each.min_version, each.max_version) for each in answer.api_keys}

    def best(self, key: int, most: int | None = None) -> int:
        """The latest version of an API that both sides know, up to ``most``. Raises ``KafkaError``."""
        api = APIS[key]
        found = self.find(api, most)
        if found is None:
            raise KafkaError(
                ErrorCode.UNSUPPORTED_VERSION,
                f"the broker knows no version of {api.name} that Rota knows too",
            )
        return found

    def knows(self, key: int) -> bool:
        """Whether there is any version of the API that both sides know."""
        return self.find(APIS[key]) is not None

    def find(self, api: Api, most: int | None = None) -> int | None:
        """The same as ``best``, or None."""
        first, last = self._offered.get(api.key, (0, -1))
        version = min(last, api.max_version if most is None else min(most, api.max_version))
        return version if version >= max(first, api.min_version) else None


def question() -> ApiVersionsRequest:
    """The first thing that is said on every connection."""
    return ApiVersionsRequest(client_software_name=_SOFTWARE, client_software_version="0.1.0")
