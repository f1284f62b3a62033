"""What is asked of Janus, as token ids: the published conversation around a text.

As deepseek-ai/Janus writes it in its script for pictures: a user's turn, the answer begun, and the
token that begins a picture. A text cannot say tokens that steer the model: they are not known while
it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from generators.checkpoints.folders import WORDS, naming, table_of, tokenizer_of
from generators.checkpoints.janus import JanusFiles, ids_of
from generators.interface import CannotAsk

USER, ASSISTANT = "<|User|>", "<|Assistant|>"


class JanusPrompts:
    """Token ids of texts (N, P), padded before them, and which count.

    Raises BadCheckpoint for what is no tokenizer, CannotAsk for a text that reads as a token that
    steers.
    """

    def __init__(self, files: JanusFiles) -> None:
        self._ids = ids_of(files)
        with naming(files.name, "Janus"):
            tokenizer_of(files.words, most=self._ids.words)
            table = table_of(files.words, file=WORDS)
        self._marks = {one["content"]: one["id"] for one in table["added_tokens"] if _steers(one)}
        self._tokenizer = _plain(table)
        unknown = self._tokenizer.token_to_id(str(table["model"].get("unk_token")))
        ids = self._ids
        self._kept = {ids.pad, ids.first, ids.begin, *self._marks.values()} - {unknown}

    def __call__(self, texts: Sequence[str]) -> Mapping[str, Tensor]:
        """`input_ids` and `attention_mask`, as JanusNetwork takes them."""
        rows = [self._one(text) for text in texts]
        length = max(map(len, rows))
        ids = [[self._ids.pad] * (length - len(row)) + row for row in rows]
        mask = [[0] * (length - len(row)) + [1] * len(row) for row in rows]
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}

    def _one(self, text: str) -> list[int]:
        """Between two tokens that steer, words are read together: a blank belongs to its word."""
        ids, written = [self._ids.first], ""
        for mark, after in ((USER, f": {text}\n\n"), (ASSISTANT, ":")):
            if mark in self._marks:
                ids += [*self._read(written), self._marks[mark]]
                written = after
            else:
                written += mark + after
        return [*ids, *self._read(written), self._ids.begin]

    def _read(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        for said in self._kept.intersection(ids):
            word = self._tokenizer.id_to_token(said)
            raise CannotAsk(f"a prompt cannot say {word!r}, which is a token that steers Janus")
        return ids


def _steers(token: Mapping[str, Any]) -> bool:
    """Whether a token that was added to the words is no word: special, or in angle brackets."""
    return bool(token["special"] or token["content"].startswith("<"))


def _plain(table: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer without what steers, whole and unpadded."""
    words = [one for one in table["added_tokens"] if not _steers(one)]
    without = {"added_tokens": words, "truncation": None, "padding": None, "post_processor": None}
    return Tokenizer.from_str(json.dumps({**table, **without}))
