"""The process that reads strangers' files: `python -m workers.reader`, talked to over its pipes.

It is told whom to trust, loads the codecs of all generators, gives up all that reading does not
need, and then answers one question after another until its input ends. Strangers' bytes are decoded
here and nowhere else in the service. What it can do when a decoder is broken into: answer wrongly,
and remember the mark keys of whoever asks it next; nothing of it gets out but through its answers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from provenance.errors import Unreadable
from provenance.formats import Encoding, Format
from provenance.image import encode_png, read_image
from provenance.keys import KeyState
from provenance.manifest.errors import ManifestError
from provenance.manifest.read import Trust, open_trust, read, read_parent
from provenance.watermark.errors import MarkError
from provenance.watermark.keys import Key
from provenance.watermark.search import FULL, QUICK, STANDARD
from workers.answers import (
    format_key,
    format_parent,
    format_pixels,
    format_reading,
    format_seen,
    parse_key,
)
from workers.brought import install_models
from workers.classifying import answer_json, load_classifier
from workers.commands.verify import mark_json
from workers.confinement import confine, limit_cpu
from workers.examine import look
from workers.generate import WeakMark
from workers.maps import map_of_difference, maps_of_answer, maps_of_mark
from workers.mark import Sought, mark
from workers.marking import Markers, load_markers
from workers.sandbox import Answer, read_frame, write_frame
from workers.verify import search_marks

MEMORY = 640 << 20  # bytes that one question may need, beside what is loaded
CPU_SECONDS = 120  # a full search of a large picture takes some ten
MOST_PIXELS = 25_000_000  # more would not fit into MEMORY
# What a caller is told; why it is so has paths of this machine in it.
LEFT_OUT = "it cannot be loaded here; to the operator, countermark verify says why"
PLANS = {plan.name: plan for plan in (QUICK, STANDARD, FULL)}


def main() -> None:
    """Serve the parent process until it closes the pipe."""
    torch.set_num_threads(1)  # there is one such process a core
    with (
        suppress(BrokenPipeError),  # the parent is gone, and with it the need for an answer
        os.fdopen(os.dup(0), "rb") as questions,
        os.fdopen(os.dup(1), "wb") as answers,
    ):
        os.dup2(2, 1)  # what a library prints is no answer
        greeting, _ = read_frame(questions)
        install_models(Path(greeting["data"]))
        reader = Reader(load_markers(), greeting)
        reader.warm_up()
        confine(memory=MEMORY, readable=_program())
        write_frame(answers, {"ready": True}, b"")
        _serve(reader, questions, answers)


def _serve(reader: Reader, questions: BinaryIO, answers: BinaryIO) -> None:
    while True:
        try:
            question, payload = read_frame(questions)
        except EOFError:
            return
        limit_cpu(CPU_SECONDS)
        write_frame(answers, *reader.answer(question, payload))


class Reader:
    """What is known before the first file comes."""

    def __init__(self, markers: Markers, greeting: dict[str, Any]) -> None:
        self._markers, self._classifier = markers, load_classifier(markers.by_name.values())
        self._left_out = dict.fromkeys(markers.left_out, LEFT_OUT)
        self._trust: Trust = open_trust(greeting["anchors"].encode(), now=datetime.now(UTC))
        self._ours = frozenset(map(bytes.fromhex, greeting["ours"]))
        self._lost = frozenset(map(bytes.fromhex, greeting["lost"]))

    def warm_up(self) -> None:
        """Whatever is loaded late is loaded now, while files can be read."""
        key = Key(bytes(32), "warm-up", 1, KeyState.ACTIVE, datetime.now(UTC))
        noise = np.random.default_rng(0).random((3, 160, 160), np.float32)
        for pixels in (np.zeros((3, 64, 64), np.float32), noise):
            question = {
                "do": "read",
                "name": "warm-up",
                "search": QUICK.name,
                "keys": [format_key(key)],
            }
            self.answer(question, encode_png(pixels))

    def answer(self, question: dict[str, Any], data: bytes) -> Answer:
        """What was asked for, or why it cannot be had of this file."""
        keys = [parse_key(one) for one in question["keys"]]
        try:
            if question["do"] == "mark":
                return self._mark(question, data, keys)
            if question["do"] == "compare":
                return self._compare(question, data)
            return self._read(question, data, keys)
        except Unreadable as e:
            return {"unreadable": e.reason}, b""

    def _mark(self, question: dict[str, Any], data: bytes, keys: Sequence[Key]) -> Answer:
        """The marked picture's pixels, what its mark says, and the manifests it had."""
        name, (kind, quality) = question["name"], question["encoding"]
        marker = self._markers.by_name.get(question["model"])
        if marker is None:
            return {"unmarkable": f"this worker has no model {question['model']!r}"}, b""
        read_image(data, name=name, most=MOST_PIXELS)  # before its manifest is looked for
        try:
            parent = read_parent(data, self._trust)
            made = mark(
                data,
                name=name,
                marker=marker,
                sought=Sought(self._markers, keys),
                key=next(one for one in keys if one.key_id == question["key"]),
                number=question["number"],
                distance=None,
                encoding=Encoding(Format(kind), quality),
            )
        except (MarkError, WeakMark, ManifestError) as e:
            return {"unmarkable": str(e)}, b""
        document = {
            "height": made.marked.pixels.shape[1],
            "width": made.marked.pixels.shape[2],
            "list": made.list_index,
            "number": made.number,
            "psnr": made.marked.psnr,
            "ssim": made.marked.ssim,
            "p_corrected": made.verified.mark.corrected,
            "parent": format_parent(parent),
        }
        return document, format_pixels(made.marked.pixels)

    def _read(self, question: dict[str, Any], data: bytes, keys: Sequence[Key]) -> Answer:
        """What a file shows by itself, and the overlay of its mark as PNG."""
        name, plan = question["name"], PLANS[question["search"]]
        pixels = read_image(data, name=name, most=MOST_PIXELS)
        verified = search_marks(pixels, name, self._markers, keys, plan)
        reading = read(data, self._trust, now=datetime.now(UTC))
        answer = self._classifier.answer(pixels)
        seen = look(data, pixels, verified.mark, reading, self._ours, self._lost, answer)
        maps = maps_of_mark(self._markers, verified, keys) | maps_of_answer(answer)
        document = {
            "seen": format_seen(seen),
            "width": verified.width,
            "height": verified.height,
            "mark": mark_json(verified, plan.name, self._left_out),
            "manifest": format_reading(reading),
            "classifier": answer_json(answer),
            "maps": {name: len(png) for name, png in maps.items()},
        }
        return document, b"".join(maps.values())

    def _compare(self, question: dict[str, Any], data: bytes) -> Answer:
        """What differs between the upload and a recorded picture that comes after it, as PNG."""
        name, length = question["name"], question["length"]
        upload = read_image(data[:length], name=name, most=MOST_PIXELS)
        original = read_image(data[length:], name="the recorded picture", most=MOST_PIXELS)
        return {}, map_of_difference(upload, original)


def _program() -> list[Path]:
    """The folders that the interpreter and its packages lie in."""
    own = [Path(__file__).parent.parent, Path(sys.prefix), Path(sys.base_prefix)]
    return [*own, *map(Path, ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev"))]


if __name__ == "__main__":
    main()
