"""Reading a transfer file: strictly, in bounded memory, and more than once."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from smp.adapters.transfer_file.lines import CHECKSUM_BEGINS, FORMAT, TRAILER_BEGINS, Header, Trailer
from smp.application.transfer import LINE_BYTES_MAX, Summary, TransferRefused

_GZIP: Final = b"\x1f\x8b"
_SPOOL_CHUNK: Final = 1_048_576
_HEADER: Final = msgspec.json.Decoder(Header)
_TRAILER: Final = msgspec.json.Decoder(Trailer)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class TransferReader:
    """The rows of a file, each time :meth:`rows` is asked; compressed or not, the file itself says.

    ``stream`` must be seekable. What it holds is proven only when :meth:`rows` has come to its end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._summary: Summary | None = None

    @property
    def summary(self) -> Summary:
        """What the last line tells, once :meth:`rows` has come to it."""
        if self._summary is None:
            raise AssertionError("read the rows first")
        return self._summary

    def header(self) -> Header:
        """The first line. Raises TransferRefused where this is no transfer file, or one of another format."""
        return _header_of(_first(self._lines()))

    def size(self) -> int:
        """How many bytes the file has as it lies there."""
        here = self._stream.tell()
        size = self._stream.seek(0, 2)
        self._stream.seek(here)
        return size

    def position(self) -> int:
        """How many of them are read so far."""
        return self._stream.tell()

    def rows(self) -> Iterator[tuple[int, bytes]]:
        """Each row with the number of its line, up to the last line.

        Raises:
            TransferRefused: where the file is cut, is damaged, or goes on after its end.
        """
        lines = self._lines()
        digest = hashlib.sha256(_first(lines))
        number = 1
        for number, line in enumerate(lines, 2):
            if line.startswith(TRAILER_BEGINS):
                digest.update(b"".join(line.rpartition(CHECKSUM_BEGINS)[:2]))
                self._summary = _proven(number, line, digest.hexdigest())
                if next(lines, None) is not None:
                    raise TransferRefused(f"line {number + 1}: the file goes on after its last line")
                return
            digest.update(line)
            yield number, line
        raise TransferRefused(f"the file was cut after line {number}: export it again")

    def _lines(self) -> Iterator[bytes]:
        self._stream.seek(0)
        is_packed = self._stream.read(len(_GZIP)) == _GZIP
        self._stream.seek(0)
        if not is_packed:
            return _lines(self._stream)
        unpacked = BufferedReader(gzip.GzipFile(fileobj=self._stream, mode="rb"), _SPOOL_CHUNK)
        return _lines(cast("BinaryIO", unpacked))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file at ``path``. Raises OSError."""
    with path.open("rb") as file:
        yield file


@contextmanager
def spooled(source: BinaryIO) -> Iterator[BinaryIO]:
    """What ``source`` gives, in a file without a name that is gone after the block: it can be read twice.

    Raises:
        TransferRefused: where there is no room for it.
    """
    with tempfile.TemporaryFile(prefix="smp-import-") as file:
        try:
            shutil.copyfileobj(source, file, _SPOOL_CHUNK)
            file.flush()
        except OSError as error:
            raise TransferRefused(
                f"standard input cannot be kept in {tempfile.gettempdir()} until it was read twice: {error.strerror};"
                " set TMPDIR to a folder with more room, or give a file"
            ) from error
        yield file


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Each line with its end; a last one without is what is left of it."""
    number = 0
    while True:
        number += 1
        try:
            line = stream.readline(LINE_BYTES_MAX + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as damage:
            what = "was cut" if isinstance(damage, EOFError) else "is damaged"
            raise TransferRefused(f"line {number}: the compressed file {what} here: export it again") from damage
        if not line:
            return
        if len(line) > LINE_BYTES_MAX:
            raise TransferRefused(f"line {number} has more than {LINE_BYTES_MAX:,} bytes: this is no row of a transfer")
        if not line.endswith(b"\n"):
            raise TransferRefused(f"line {number}: the file was cut here: export it again")
        yield line


def _first(lines: Iterator[bytes]) -> bytes:
    line = next(lines, b"")
    _header_of(line)
    return line


def _header_of(line: bytes) -> Header:
    try:
        members = _MEMBERS.decode(line)
    except msgspec.MsgspecError:
        raise _no_transfer() from None
    if bytes(members.get("table", b"")) != b'"smp-transfer"':
        raise _no_transfer()
    found = bytes(members.get("format", b""))
    if found != str(FORMAT).encode():
        raise TransferRefused(
            f"line 1: the file has the format {found.decode(errors='replace')[:20]}, and this version of SMP reads"
            f" format {FORMAT}: use the version of SMP that wrote it"
        )
    try:
        return _HEADER.decode(line)
    except msgspec.MsgspecError as damage:
        raise TransferRefused(f"line 1: {damage}") from None


def _no_transfer() -> TransferRefused:
    return TransferRefused("line 1: this is no file that smp export has written")


def _proven(number: int, line: bytes, sha256: str) -> Summary:
    try:
        trailer = _TRAILER.decode(line)
    except msgspec.MsgspecError as damage:
        raise TransferRefused(f"line {number}: {damage}") from None
    if trailer.rows != number - 2 or sum(trailer.counts.values()) != trailer.rows:
        raise TransferRefused(
            f"line {number}: the file was written with {trailer.rows:,} rows and has {number - 2:,}: export it again"
        )
    if trailer.sha256 != sha256:
        raise TransferRefused(
            f"the file was changed after it was written: its checksum is {sha256}, and line {number} says"
            f" {trailer.sha256}"
        )
    return trailer.summary()
