"""The one file of a form, as it streams in: nothing of it is gathered or laid on a disk meanwhile.

A form holds exactly one part `file`; other parts are read over. A form that ends before its last
boundary is no form.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.problems import Kind, Problem, invalid

FORM = "multipart/form-data"
FIELD = "file"


class _Parts:
    """What the parser has come across since it was asked last."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.files = 0
        self.ended = False
        self._header, self._value, self._disposition = b"", b"", b""
        self._wanted = False

    def begin(self) -> None:
        self._disposition, self._wanted = b"", False

    def name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._wanted = options.get(b"name") == FIELD.encode() and b"filename" in options
        self.files += self._wanted

    def part(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self.data.append(data[start:end])

    def end(self) -> None:
        self.ended = True


async def read_file(content_type: str, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes of the file of a form; raises Problem for any other body."""
    parts = _Parts()
    parser = _parser(content_type, parts)
    async for chunk in body:
        try:
            parser.write(chunk)
        except FormParserError as e:
            raise Problem(Kind.MALFORMED, f"body: not a form: {e!s:.200}") from e
        if parts.files > 1:
            break
        data, parts.data = b"".join(parts.data), []
        yield data
    if parts.files != 1:
        raise invalid(FIELD, "a form holds exactly one file under this name", "1")
    if not parts.ended:
        raise Problem(Kind.MALFORMED, "body: the form ends before its last boundary")


def _parser(content_type: str, parts: _Parts) -> MultipartParser:
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise Problem(Kind.MALFORMED, "content-type: the boundary of the form is missing")
    return MultipartParser(
        boundary,
        {
            "on_part_begin": parts.begin,
            "on_header_field": parts.name,
            "on_header_value": parts.value,
            "on_header_end": parts.header,
            "on_headers_finished": parts.headers,
            "on_part_data": parts.part,
            "on_end": parts.end,
        },
    )
