"""Encoded responses: all four encodings are decoded within bounds, and what cannot be decoded is reported as such."""

import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import brotli
import pytest
from aiohttp import web
from anyio import to_thread
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import RetryLater, Split
from collector.vendors.encodings import MAX_MEMBERS, MAX_ZSTD_WINDOW_LOG, PART_BYTES, EncodingError, decoder_of
from collector.vendors.http import http
from collector.vendors.limits import Limits
from tests.simulated import SimulatedClock
from tests.vendors.loopback import failure, get, responding, sends, serving, tcp_server

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20
BODY = b'{"objects":[1,2,3]}' * 20_000
SMALL = Limits(max_response_bytes=1024)


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "identity, zstd": zstd.compress,
    "identity": bytes,
    "": bytes,
}
COMPRESSED = ("gzip", "deflate", "br", "zstd")
every_encoding = pytest.mark.parametrize("encoding", COMPRESSED)


def decoded(encoding: str, chunks: Iterable[bytes]) -> bytes:
    decoder = decoder_of([encoding])
    body = b"".join(part for chunk in chunks for part in decoder.decode(chunk))
    decoder.end()
    return body


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in pieces that end at these places."""
    ends = [*sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def bomb(encoding: str, size: int) -> bytes:
    """Zeros of this size, compressed without having them all in memory."""
    zeros = bytes(MIB)
    match encoding:
        case "gzip" | "deflate":
            press = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
            return b"".join([press.compress(zeros) for _ in range(size // MIB)]) + press.flush()
        case "br":
            brotli_press = brotli.Compressor(quality=1)
            parts = [brotli_press.process(zeros) for _ in range(size // MIB)]
            return b"".join(parts) + bytes(brotli_press.finish())
        case _:
            zstd_press = zstd.ZstdCompressor()
            return b"".join([zstd_press.compress(zeros) for _ in range(size // MIB)]) + zstd_press.flush()


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", ENCODE)
async def test_an_encoded_body_is_decoded(encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    async with serving(responding(ENCODE[encoding](BODY), headers=headers)) as url, http(SimulatedClock()) as client:
        with await get(client, url) as response:
            assert BODY == response.body


@pytest.mark.anyio
async def test_only_encodings_that_every_server_knows_are_requested() -> None:
    requested: list[str | None] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        requested.append(request.headers.get("Accept-Encoding"))
        return web.Response(body=b"{}")

    async with serving(handler) as url, http(SimulatedClock()) as client:
        with await get(client, url):
            pass
    assert ["gzip, deflate"] == requested


@given(
    st.sampled_from([name for name in ENCODE if name]),
    st.lists(st.binary(max_size=200) | st.integers(0, 3 * PART_BYTES).map(bytes), max_size=4).map(b"".join),
    st.lists(st.integers(min_value=0), max_size=5),
)
def test_a_body_is_decoded_however_it_is_cut(encoding: str, body: bytes, places: list[int]) -> None:
    assert body == decoded(encoding, cut(ENCODE[encoding](body), places))


@given(st.sampled_from(COMPRESSED), st.binary(max_size=500), st.integers(min_value=0), st.lists(st.integers(0)))
def test_a_body_that_ends_too_early_is_never_taken_for_a_complete_one(
    encoding: str, body: bytes, end: int, places: list[int]
) -> None:
    packed = ENCODE[encoding](body)
    packed = packed[: 1 + end % (len(packed) - 1)] if len(packed) > 1 else b""
    if packed:
        with pytest.raises(EncodingError):
            decoded(encoding, cut(packed, places))


@given(st.sampled_from(COMPRESSED), st.binary(), st.binary(min_size=1), st.lists(st.integers(0)))
def test_data_after_the_end_is_an_error(encoding: str, body: bytes, more: bytes, places: list[int]) -> None:
    marked = b"\x01" + more  # not the start of another member
    with pytest.raises(EncodingError):
        decoded(encoding, cut(ENCODE[encoding](body) + marked, places))


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@given(st.lists(st.binary(max_size=100), max_size=5), st.lists(st.integers(0)))
def test_several_members_are_one_body(encoding: str, bodies: list[bytes], places: list[int]) -> None:
    packed = b"".join(map(ENCODE[encoding], bodies))
    assert b"".join(bodies) == decoded(encoding, cut(packed, places))


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_the_number_of_members_is_bounded(encoding: str) -> None:
    """An empty member takes as long to decode as kilobytes of data."""
    member = ENCODE[encoding](b"")
    assert b"" == decoded(encoding, [member * MAX_MEMBERS])
    with pytest.raises(EncodingError, match=encoding):
        decoded(encoding, [member * (MAX_MEMBERS + 1)])


@pytest.mark.anyio
@every_encoding
@pytest.mark.parametrize("damage", ["invalid", "cut", "followed"])
async def test_a_body_that_is_not_valid_in_its_encoding_is_reported_as_such(encoding: str, damage: str) -> None:
    packed = ENCODE[encoding](BODY)
    body = {"invalid": b"not packed", "cut": packed[:-2], "followed": packed + b"\x01more"}[damage]
    async with serving(responding(body, headers={"Content-Encoding": encoding})) as url:
        error = await failure(RetryLater, url)
    assert ("response_encoding", 0.0, False) == (error.code, error.after_s, error.narrower)
    assert all(fact in str(error) for fact in (encoding, "127.0.0.1"))


@pytest.mark.anyio
@every_encoding
async def test_a_cut_body_is_noticed_where_the_end_of_the_connection_ends_it(encoding: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: %s\r\n\r\n" % encoding.encode()
    packed = ENCODE[encoding](BODY)
    async with tcp_server(sends(head + packed[: len(packed) // 2])) as url:
        error = await failure(RetryLater, url)
    assert "response_encoding" == error.code


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", ["compress", "gzip, br", "aes128gcm", "gzip;q=1", "xxx"])
async def test_an_encoding_that_is_not_supported_is_reported_as_such(encoding: str) -> None:
    async with serving(responding(gzip.compress(BODY), headers={"Content-Encoding": encoding})) as url:
        error = await failure(RetryLater, url)
    assert "response_encoding" == error.code
    assert "xxx" not in str(error)


@pytest.mark.anyio
@every_encoding
async def test_an_error_is_reported_by_its_status_whatever_its_encoding(encoding: str) -> None:
    async with serving(responding(b"not packed", status=503, headers={"Content-Encoding": encoding})) as url:
        error = await failure(RetryLater, url)
    assert "http_503" == error.code


@pytest.mark.anyio
@every_encoding
async def test_the_bound_applies_to_the_decompressed_size(encoding: str) -> None:
    packed = ENCODE[encoding](bytes(1025))
    assert len(packed) < 1024
    async with serving(responding(packed, headers={"Content-Encoding": encoding})) as url:
        error = await failure(Split, url, limits=SMALL)
    assert "response_too_large" == error.code


@pytest.mark.anyio
async def test_the_bound_applies_to_the_compressed_size_too() -> None:
    """Empty members decompress to nothing, however many there are."""
    packed = gzip.compress(b"") * 60
    assert len(packed) > 1024
    async with serving(responding(packed, headers={"Content-Encoding": "gzip"})) as url:
        await failure(Split, url, limits=SMALL)


@pytest.mark.anyio
@every_encoding
async def test_a_decompression_bomb_is_never_in_memory(encoding: str) -> None:
    packed = await to_thread.run_sync(bomb, encoding, 200 * MIB)
    assert len(packed) < MIB
    async with serving(responding(packed, headers={"Content-Encoding": encoding})) as url:
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            resident = _peak_after(reset=True)
            error = await failure(Split, url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert "response_too_large" == error.code
    assert peak - before < 50 * MIB
    assert _peak_after() - resident < 80 * MIB  # with the memory of the C libraries


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_parts_are_small(encoding: str) -> None:
    decoder = decoder_of([encoding])
    sizes = [len(part) for part in decoder.decode(bomb(encoding, 4 * MIB))]
    decoder.end()
    assert 4 * MIB == sum(sizes)
    assert max(sizes) <= 1.5 * PART_BYTES


def test_a_zstd_window_above_8_mib_is_rejected() -> None:
    """RFC 9659 forbids it, and its memory would be allocated before the first part."""
    for excess in (0, 1):
        options = {int(zstd.CompressionParameter.window_log): MAX_ZSTD_WINDOW_LOG + excess}
        press = zstd.ZstdCompressor(options=options)
        packed = press.compress(bytes(MIB)) + press.flush()
        if excess:
            with pytest.raises(EncodingError):
                decoded("zstd", [packed])
        else:
            assert bytes(MIB) == decoded("zstd", [packed])


def _peak_after(*, reset: bool = False) -> int:
    """The largest resident size of this process since the last reset, in bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", "utf-8")
    (line,) = (line for line in Path("/proc/self/status").read_text("utf-8").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10
