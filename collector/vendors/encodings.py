"""Decodes the content encodings of responses: gzip, deflate (RFC 9110, 8.4.1), br (RFC 7932) and zstd (RFC 8878).

Replaces the decoding of aiohttp, which treats a compressed body that ends too early as complete, and does not report an
unknown encoding.
"""

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ACCEPTED = "gzip, deflate"
"""The value of Accept-Encoding. The other encodings are decoded too, for servers that send them without a request."""
PART_BYTES = 64 << 10
"""The size of a decoded part. Parts of `br` may be half as large again."""
MAX_MEMBERS = 4096
"""The most members of a body. Programs that write several put at least 4 KiB into each, and 16 MiB is the default of
`max_response_bytes`. An empty member has some bytes only, and takes as long as kilobytes of data."""
MAX_ZSTD_WINDOW_LOG = 23
"""The largest window of `zstd`, 8 MiB: servers must not exceed it (RFC 9659)."""

_GZIP_WBITS, _ZLIB_WBITS = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_ZLIB_METHOD = 8
"""The low four bits of the first byte of zlib data (RFC 1950)."""


class EncodingError(Exception):
    """A body cannot be decoded. Its text is the reason, without any text of the vendor."""


class Decoder(Protocol):
    """Decodes one body."""

    def decode(self, received: bytes) -> Iterator[bytes]:
        """Yield the decoded data in small parts, some of which may be empty. Raises EncodingError for invalid data."""

    def end(self) -> None:
        """Return if the body is complete, or empty. Raises EncodingError if it ends too early."""


def decoder_of(headers: Sequence[str]) -> Decoder:
    """The decoder for the values of the header Content-Encoding. Raises EncodingError if there is none."""
    names = [name.strip().lower() for value in headers for name in value.split(",")]
    match [name for name in names if name not in ("", "identity")]:
        case []:
            return _Identity()
        case ["gzip" | "x-gzip"]:
            return _Members("gzip", lambda _: _Zlib(_GZIP_WBITS))
        case ["deflate"]:
            return _Members("deflate", _deflate)
        case ["br"]:
            return _Members("br", lambda _: _Brotli(), is_repeatable=False)
        case ["zstd"]:
            return _Members("zstd", lambda _: _Zstd())
        case _:
            raise EncodingError("its content encoding is not one of gzip, deflate, br and zstd")


class _Identity:
    """A body without an encoding."""

    def decode(self, received: bytes) -> Iterator[bytes]:
        yield received

    def end(self) -> None:
        pass


class _Member(Protocol):
    """Decodes one member of a body: a body of gzip or zstd may consist of several, one after the other."""

    @property
    def is_complete(self) -> bool: ...

    def decode(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Return a decoded part, the data that is left, and whether another part may follow without more data."""


class _Members:
    """A body of members. `begin` begins a member with these first bytes."""

    def __init__(self, name: str, begin: Callable[[bytes], _Member], *, is_repeatable: bool = True) -> None:
        self._name = name
        self._begin = begin
        self._is_repeatable = is_repeatable
        self._member: _Member | None = None
        self._members = 0

    def decode(self, received: bytes) -> Iterator[bytes]:
        data, has_more = received, False
        while data or has_more:
            member = self._member
            if member is None or (data and member.is_complete and self._is_repeatable):
                self._members += 1
                if self._members > MAX_MEMBERS:
                    raise EncodingError(f"its body has more than {MAX_MEMBERS} {self._name} members")
                member = self._member = self._begin(data)
            try:
                part, data, has_more = member.decode(data)
            except (zlib.error, brotli.error, zstd.ZstdError):
                text = f"its body is not valid {self._name}, which is its content encoding"
                raise EncodingError(text) from None
            yield part

    def end(self) -> None:
        if self._member is not None and not self._member.is_complete:
            raise EncodingError(f"its body ends within its {self._name} data")


def _deflate(data: bytes) -> _Member:
    """A member of deflate: in zlib's format, or without its header, as some servers send it."""
    return _Zlib(_ZLIB_WBITS if data[0] & 0xF == _ZLIB_METHOD else -_ZLIB_WBITS)


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._decompressor = zlib.decompressobj(wbits)

    @property
    def is_complete(self) -> bool:
        return self._decompressor.eof

    def decode(self, data: bytes) -> tuple[bytes, bytes, bool]:
        part = self._decompressor.decompress(data, PART_BYTES)
        if self._decompressor.eof:
            return part, self._decompressor.unused_data, False
        return part, self._decompressor.unconsumed_tail, len(part) == PART_BYTES


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    @property
    def is_complete(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decode(self, data: bytes) -> tuple[bytes, bytes, bool]:
        part = self._decompressor.process(data, output_buffer_limit=PART_BYTES)
        # `can_accept_more_data` is true already when all data is read, and not only when all parts are returned.
        return part, b"", not self.is_complete and bool(part or not self._decompressor.can_accept_more_data())


class _Zstd:
    def __init__(self) -> None:
        options = {int(zstd.DecompressionParameter.window_log_max): MAX_ZSTD_WINDOW_LOG}
        self._decompressor = zstd.ZstdDecompressor(options=options)

    @property
    def is_complete(self) -> bool:
        return self._decompressor.eof

    def decode(self, data: bytes) -> tuple[bytes, bytes, bool]:
        part = self._decompressor.decompress(data, PART_BYTES)
        if self._decompressor.eof:
            return part, self._decompressor.unused_data, False
        return part, b"", not self._decompressor.needs_input
