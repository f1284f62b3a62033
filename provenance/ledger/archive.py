"""ZIP archives of which one set of files makes one sequence of bytes.

Files are stored uncompressed in the order of their names, dated 1980-01-01 and with mode 0644, so
the bytes depend on no clock and on no version of zlib, and nothing unpacks to more than it is. Any
tool opens such an archive (PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16). Reading is
strict: `parse_archive` accepts exactly what `format_archive` writes.
"""

import re
import struct
from collections.abc import Mapping
from zlib import crc32

from provenance.ledger.errors import Malformed

MAX_ARCHIVE_BYTES = 256 * 2**20
MAX_FILES = 60_000  # below 2**16 - 1, from which on the format changes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*", re.ASCII)
_MAX_NAME = 200

_LOCAL, _LISTED, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_FILE = struct.Struct("<HHHHHIIIHH")  # as it stands in a file's header and in the list of files
_PLACE = struct.Struct("<HHHII")
_TAIL = struct.Struct("<4sHHHHIIH")
_VERSION = 10  # of the format: stored files and nothing else
_UNIX = 3 << 8
_FIRST_DAY = 1 << 5 | 1  # 1980-01-01
_MODE = 0o100644 << 16


def format_archive(files: Mapping[str, bytes]) -> bytes:
    """Raises Malformed if a name is not plain, or if there is too much."""
    if len(files) > MAX_FILES:
        raise Malformed(f"archive has {len(files)} files, at most {MAX_FILES}")
    body, listed = bytearray(), bytearray()
    for name, data in sorted(files.items()):
        if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
            raise Malformed(f"archive has a file with the name {name[:_MAX_NAME]!r}")
        head = _FILE.pack(
            _VERSION, 0, 0, 0, _FIRST_DAY, crc32(data), len(data), len(data), len(name), 0
        )
        place = _PLACE.pack(0, 0, 0, _MODE, len(body))
        made_by = struct.pack("<H", _UNIX | _VERSION)
        listed += _LISTED + made_by + head + place + name.encode()
        body += _LOCAL + head + name.encode() + data
        if len(body) + len(listed) > MAX_ARCHIVE_BYTES - _TAIL.size:
            raise Malformed(f"archive is longer than {MAX_ARCHIVE_BYTES} bytes")
    tail = _TAIL.pack(_END, 0, 0, len(files), len(files), len(listed), len(body), 0)
    return bytes(body + listed + tail)


def parse_archive(data: bytes) -> dict[str, bytes]:
    """The files by name; `format_archive` of them gives `data` back."""
    if len(data) > MAX_ARCHIVE_BYTES:
        raise Malformed(f"archive is longer than {MAX_ARCHIVE_BYTES} bytes")
    files: dict[str, bytes] = {}
    at = 0
    while data.startswith(_LOCAL, at) and len(files) <= MAX_FILES:
        start = at + len(_LOCAL) + _FILE.size
        if start > len(data):
            raise Malformed("archive ends within the header of a file")
        size, width = _FILE.unpack_from(data, at + len(_LOCAL))[-3:-1]
        name = data[start : start + width].decode("ascii", "replace")
        at = start + width + size
        files[name] = data[start + width : at]
    if format_archive(files) != data:
        raise Malformed("archive is not in canonical form")
    return files
