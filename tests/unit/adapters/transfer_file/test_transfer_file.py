from __future__ import annotations

import errno
import gzip
import io
import os
import re
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from smp.adapters.transfer_file.lines import FORMAT, Header
from smp.adapters.transfer_file.reader import TransferReader, spooled
from smp.adapters.transfer_file.writer import TransferWriter, compressed, new_file
from smp.application.transfer import LINE_BYTES_MAX, TransferRefused

HEADER: Final = Header(FORMAT, "0001", "1.2.3", datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC))
ROWS: Final = (b'{"table":"users","id":1}', b'{"table":"users","id":2}', b'{"table":"plans","name":"\xc3\xa9 \\n"}')


def a_file(rows: Sequence[bytes] = ROWS) -> bytes:
    """A whole file, not compressed."""
    sink = io.BytesIO()
    writer = TransferWriter(sink, HEADER)
    writer.write("users", rows[:2])
    writer.write("plans", rows[2:])
    writer.write("trials", [])
    writer.end()
    return sink.getvalue()


def packed(content: bytes) -> bytes:
    """The same, compressed."""
    sink = io.BytesIO()
    with compressed(sink) as packer:
        packer.write(content)
    return sink.getvalue()


def read(content: bytes) -> list[tuple[int, bytes]]:
    """All rows with the numbers of their lines. Raises TransferRefused."""
    return list(TransferReader(io.BytesIO(content)).rows())


@pytest.mark.parametrize("content", [a_file(), packed(a_file())], ids=["plain", "compressed"])
def test_what_was_written_is_read(content: bytes) -> None:
    """As often as it is asked for, and whether or not it is compressed."""
    reader = TransferReader(io.BytesIO(content))
    assert reader.header() == HEADER
    for _ in range(2):
        assert [(number, line.rstrip(b"\n")) for number, line in reader.rows()] == list(enumerate(ROWS, 2))
    assert reader.summary.lines == 3
    assert reader.summary.counts == {"users": 2, "plans": 1, "trials": 0}
    assert reader.size() == len(content)
    assert 0 < reader.position() <= len(content)


def test_the_same_rows_make_the_same_file() -> None:
    """Compressed, too: no name and no time of the compression stand in it."""
    assert packed(a_file()) == packed(a_file())
    assert gzip.decompress(packed(a_file())) == a_file()


def refusal(content: bytes) -> str | None:
    """Why it is refused, if it is."""
    try:
        read(content)
    except TransferRefused as refused:
        return str(refused)
    return None


def test_a_cut_file_is_refused() -> None:
    """Wherever it was cut, be it at the end of a line."""
    whole = a_file()
    told = [refusal(whole[:cut]) for cut in range(len(whole))]
    assert [why for why in told if why is None or not re.search("was cut|no file that smp export has", why)] == []


def test_a_cut_compressed_file_is_refused() -> None:
    """The compression's own end is wanted as well."""
    whole = packed(a_file())
    assert [cut for cut in range(len(whole)) if refusal(whole[:cut]) is None] == []


def test_a_changed_byte_is_refused() -> None:
    """Wherever it is, in the first line and the last one, too."""
    whole = a_file()
    changed = [whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :] for place in range(len(whole))]
    assert [content for content in changed if refusal(content) is None] == []


def test_a_damaged_compression_is_refused() -> None:
    """With the line at which it was found."""
    content = bytearray(packed(a_file()))
    content[40] ^= 0xFF
    with pytest.raises(TransferRefused, match=r"line \d+"):
        read(bytes(content))


def test_a_line_that_was_changed_is_told_from_one_that_was_lost() -> None:
    """So that people know what happened to their file."""
    with pytest.raises(TransferRefused, match="the file was changed after it was written"):
        read(a_file().replace(b'"id":1', b'"id":3'))
    with pytest.raises(TransferRefused, match="line 4: the file was written with 3 rows and has 2"):
        read(a_file().replace(ROWS[0] + b"\n", b""))
    with pytest.raises(TransferRefused, match="line 6: the file goes on after its last line"):
        read(a_file() + ROWS[0] + b"\n")


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"hello\n", b"{}\n", b'{"table":"users"}\n', b"\x1f\x8b", b"[1]\n", b'"x"\n', b"\xff\n"]
)
def test_something_else_is_no_transfer_file(content: bytes) -> None:
    """And is said not to be one, in one line."""
    with pytest.raises(TransferRefused, match="line 1"):
        TransferReader(io.BytesIO(content)).header()


def test_another_format_is_refused_before_anything_else_is_looked_at() -> None:
    """A later version may have other fields in its first line."""
    later = b'{"table":"smp-transfer","format":2,"colour":"red"}\n'
    with pytest.raises(TransferRefused, match="has the format 2, and this version of SMP reads format 1"):
        TransferReader(io.BytesIO(later)).header()


def test_an_unknown_field_in_the_first_line_is_refused() -> None:
    """What it would mean is not known."""
    with pytest.raises(TransferRefused, match=r"line 1: .*colour"):
        TransferReader(io.BytesIO(a_file().replace(b'"format"', b'"colour":1,"format"', 1))).header()


def test_a_line_has_a_limit() -> None:
    """What is read into memory is bounded, whatever the file; and nothing is written that could not be read."""
    longest = b'"' + b"x" * (LINE_BYTES_MAX - 3) + b'"'
    assert read(a_file((*ROWS[:2], longest)))[-1] == (4, longest + b"\n")
    with pytest.raises(TransferRefused, match="a row of plans has more than"):
        a_file((*ROWS[:2], longest + b" "))
    with pytest.raises(TransferRefused, match=r"line 2 has more than 1,048,576 bytes"):
        read(a_file().replace(ROWS[0], longest + b" "))
    bomb = packed(a_file().partition(b"\n")[0] + b"\n" + b" " * 50_000_000)
    with pytest.raises(TransferRefused, match="line 2 has more than"):
        read(bomb)


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    """Whatever the process's umask: it holds password hashes."""
    before = os.umask(0)
    try:
        with new_file(tmp_path / "all.jsonl") as file:
            file.write(b"secret")
            (partial,) = tmp_path.iterdir()
            assert stat.S_IMODE(partial.stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "all.jsonl").stat().st_mode) == 0o600


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """What was there stays until the new one is complete, and nothing else is left."""
    (tmp_path / "all.jsonl").write_bytes(b"before")
    with pytest.raises(RuntimeError, match="stop"), new_file(tmp_path / "all.jsonl") as file:  # noqa: PT012
        file.write(b"half")
        file.flush()
        raise RuntimeError("stop")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]
    with new_file(tmp_path / "all.jsonl") as file:
        file.write(b"after")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"after"]


def test_a_stream_is_kept_until_it_was_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file without a name."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with spooled(io.BytesIO(a_file())) as stream:
        assert list(tmp_path.iterdir()) == []
        assert len(list(TransferReader(stream).rows())) == 3
        assert len(list(TransferReader(stream).rows())) == 3


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that had no room, or the folder that standard input was kept in."""
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="No space left on device") as told, new_file(tmp_path / "all.jsonl"):
        raise full
    assert told.value.filename == str(tmp_path / "all.jsonl")
    assert list(tmp_path.iterdir()) == []

    def no_room(*_: object) -> None:
        raise full

    monkeypatch.setattr("shutil.copyfileobj", no_room)
    with pytest.raises(TransferRefused, match="No space left on device; set TMPDIR"), spooled(io.BytesIO()):
        raise AssertionError("there is nothing to read")
