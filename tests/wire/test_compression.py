"""The codecs: round trips, other clients' bytes, and data that lies about its size."""

from __future__ import annotations

import contextlib
import os
import zlib

import cramjam
import pytest
from aiokafka import codec as aiokafka  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from rota.wire import WireError
from rota.wire.compression import CODECS, compress, decompress

PACKED = [codec for codec in CODECS if codec != "none"]
TEXT = b"the rota says who is on duty when " * 5_000


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.binary(max_size=5_000), times=st.integers(1, 40))
def test_round_trip(codec: str, data: bytes, times: int) -> None:
    whole = data * times
    assert bytes(decompress(codec, compress(codec, whole))) == whole


@pytest.mark.parametrize("codec", PACKED)
def test_aiokafka_reads_what_we_write(codec: str) -> None:
    assert bytes(getattr(aiokafka, f"{codec}_decode")(compress(codec, TEXT))) == TEXT


@pytest.mark.parametrize("codec", PACKED)
def test_we_read_what_aiokafka_writes(codec: str) -> None:
    assert bytes(decompress(codec, getattr(aiokafka, f"{codec}_encode")(TEXT))) == TEXT


@pytest.mark.parametrize(
    ("codec", "packed"),
    [
        # Raw snappy, as librdkafka and Go clients write it: length 5, a literal of 5 bytes.
        ("snappy", "051068656c6c6f"),
        # One xerial block of the same.
        ("snappy", "82534e4150505900000000010000000100000007051068656c6c6f"),
        # An lz4 frame (version 01, independent blocks) whose one block is stored, not compressed.
        ("lz4", "04224d186040820500008068656c6c6f00000000"),
        # A zstd frame with a single raw block.
        ("zstd", "28b52ffd200529000068656c6c6f"),
    ],
)
def test_known_bytes(codec: str, packed: str) -> None:
    assert bytes(decompress(codec, bytes.fromhex(packed))) == b"hello"


def test_gzip_of_several_members_is_read_whole() -> None:
    assert decompress("gzip", zlib.compress(b"one", wbits=31) + zlib.compress(b"two", wbits=31)) == b"onetwo"


def test_gzip_of_very_many_members_is_refused() -> None:
    """To step over one costs a look at all that follow: of a megabyte of empty ones that is 25 GB."""
    with pytest.raises(WireError, match="members"):
        decompress("gzip", zlib.compress(b"", wbits=31) * 2_000)


@pytest.mark.parametrize("codec", PACKED)
def test_a_bomb_is_refused(codec: str) -> None:
    bomb = compress(codec, bytes(30_000_000))
    with pytest.raises(WireError, match="more than"):
        decompress(codec, bomb, 1_000_000)
    assert len(decompress(codec, bomb, 30_000_000)) == 30_000_000


def test_a_snappy_block_that_only_claims_to_be_large_is_refused() -> None:
    with pytest.raises(WireError, match="not possible"):
        decompress("snappy", bytes.fromhex("ffffff7f") + b"\x00a")


@pytest.mark.parametrize("codec", PACKED)
@given(cut=st.integers(min_value=0))
def test_data_that_ends_early_is_refused_or_shorter(codec: str, cut: int) -> None:
    whole = compress(codec, TEXT)
    try:
        found = bytes(decompress(codec, whole[: cut % len(whole)]))
    except WireError:
        return
    assert len(found) < len(TEXT)
    assert TEXT.startswith(found)


@pytest.mark.parametrize("codec", PACKED)
@given(data=st.binary(max_size=300))
def test_noise_raises_nothing_else(codec: str, data: bytes) -> None:
    with contextlib.suppress(WireError):
        decompress(codec, data, 100_000)


def test_what_does_not_compress_is_kept() -> None:
    noise = os.urandom(100_000)
    for codec in PACKED:
        assert bytes(decompress(codec, compress(codec, noise))) == noise
    assert bytes(cramjam.zstd.decompress(compress("zstd", noise))) == noise
