"""`python -m tests.fuzz.record`: make the corpus anew, from what real clients say to Rota's broker.

Runs the tests of clients and of Kafka's tools (`tests/clients`, `tests/conformance`) on a broker that writes down
what it reads: librdkafka, kafka-python, aiokafka, franz-go and Java's clients, classic and KIP-848 groups, idempotent
and transactional producers, every compression, every administrative call. Of each API, version and client a few
requests of different lengths are kept. Takes a quarter of an hour, and needs Java, Maven and Go.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.fuzz.corpus import CORPUS, Sample, load, save

from rota.wire.codec import decoder
from rota.wire.messages.produce import ProduceRequest
from rota.wire.records import HEADER_SIZE, read_header

_ROOT = Path(__file__).parents[2]
_TESTS = ("tests/clients", "tests/conformance")
_PRODUCE = 0
_LARGEST = 3000
_OF_A_KIND = 2
_OF_A_VERSION = 4


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="rota-record-") as directory:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.fuzz.recording_plugin", "--broker=rota"]
        environment = os.environ | {"ROTA_RECORD": directory}
        tests = sys.argv[1:] or _TESTS
        subprocess.run([*command, *tests], cwd=_ROOT, env=environment, check=False)
        samples = _read(Path(directory))
    save(_choose(samples + list(load() if sys.argv[1:] else ())))
    load.cache_clear()
    kept = load()
    versions = {(each.key, each.version) for each in kept}
    size = CORPUS.stat().st_size
    print(
        f"{len(samples)} requests seen, {len(kept)} kept ({len(versions)} APIs and versions), {size} bytes: {CORPUS}"
    )


def _read(directory: Path) -> list[Sample]:
    samples = []
    for file in sorted(directory.iterdir()):
        for line in file.read_text().splitlines():
            client, frame = line.split(" ")
            samples.append(Sample.of(base64.b64decode(frame), client))
    return samples


def _choose(samples: list[Sample]) -> list[Sample]:
    """Of each client's requests of one kind the shortest and the longest; of each kind a few clients'."""
    by_kind: dict[tuple[int, int, str, int], list[Sample]] = defaultdict(list)
    for each in sorted(samples, key=lambda each: (len(each.frame), each.frame)):
        if len(each.frame) <= _LARGEST:
            by_kind[each.key, each.version, each.client, _shade(each)].append(each)
    kept: dict[tuple[int, int, int], list[Sample]] = defaultdict(list)
    for (key, version, _, shade), found in by_kind.items():
        ends = [found[0], found[-1]][: min(len(found), _OF_A_KIND)]
        kept[key, version, shade] += ends
    return [each for found in kept.values() for each in found[:_OF_A_VERSION]]


def _shade(sample: Sample) -> int:
    """Of Produce requests, what kind of batch is in it: its codec, and whether it is transactional."""
    if sample.key != _PRODUCE:
        return 0
    produce = decoder(ProduceRequest, sample.version)(memoryview(sample.frame), sample.body_at)[0]
    records = produce.topic_data[0].partition_data[0].records if produce.topic_data else None
    return read_header(records).attributes if records is not None and len(records) >= HEADER_SIZE else 0


if __name__ == "__main__":
    main()
