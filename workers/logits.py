"""Marks for somebody's own `generate()` call, in the conventions of `transformers`.

A `LogitsProcessor` favours green codes, whatever the model; a detector looks for them in the tokens
that came back, and gives its exact p in the library's own output. Nothing here hashes what was
drawn before: image models show a processor the prompt only, and never the tokens so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LogitsProcessor
from transformers.generation.watermarking import WatermarkDetectorOutput

from provenance.watermark.detect import THRESHOLD, Bank, Outcome, View, detect
from provenance.watermark.errors import UnusableKey
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.scheme import Scheme
from provenance.watermark.search import Grid

TOKENS = "tokens"


class MarkLogits(LogitsProcessor):
    """Raises the green codes of one list by `delta` nats.

    `words` (V,) are the ids of codes 0 to V - 1 in the model's vocabulary, if it has others as
    well. `generate` divides by its temperature after this: name it here, so that the bias is what
    was asked for. Guidance may come before or after: its weights sum to one.
    """

    def __init__(
        self,
        scheme: Scheme,
        key: Key,
        list_index: int,
        *,
        delta: float,
        temperature: float = 1.0,
        words: Sequence[int] | None = None,
    ) -> None:
        if key.state is not KeyState.ACTIVE:
            raise UnusableKey(f"key {key.key_id} is {key.state} and marks no more")
        green = torch.from_numpy(scheme.green(key, list_index))
        bias = green.float() * (delta * temperature)
        self._words = None if words is None else _numbered(words, len(green))
        self._bias = bias

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, words), raised where a code is green; `input_ids` is not looked at."""
        bias = self._bias.to(scores)
        if self._words is None:
            if scores.shape[-1] != len(bias):
                raise ValueError(
                    f"the model has {scores.shape[-1]} words, the scheme {len(bias)} codes: "
                    f"say with `words` which words they are"
                )
            return scores + bias
        return scores.index_add(-1, self._words.to(scores.device), bias.expand(len(scores), -1))


class MarkDetector:
    """Looks for the marks of some keys under one scheme, in tokens as `generate` gives them."""

    def __init__(
        self, scheme: Scheme, keys: Sequence[Key], *, words: Sequence[int] | None = None
    ) -> None:
        self._scheme, self._keys = scheme, {key.key_id: key for key in keys}
        self._bank = Bank(scheme, keys)
        codes = scheme.colouring.codes
        self._codes: dict[int, int] | None = None
        if words is not None:
            self._codes = {int(word): n for n, word in enumerate(_numbered(words, codes))}

    def __call__(
        self, input_ids: Tensor, *, threshold: float = THRESHOLD
    ) -> WatermarkDetectorOutput:
        """What is found in each row (B, T): `prediction`, and its figures.

        p is exact, and corrected for all keys and lists; there is no z. Green tokens are counted
        under the list that was found, and are nan where none was.
        """
        rows = [self._row(row, threshold) for row in input_ids.cpu().numpy()]
        columns: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return WatermarkDetectorOutput(**columns)

    def _row(self, ids: NDArray[np.int64], threshold: float) -> dict[str, float | bool]:
        if self._codes is not None:  # ends of rows and the like are no codes
            ids = np.array([self._codes[int(one)] for one in ids if int(one) in self._codes])
        grid = Grid(ids[None, None], np.ones((1, 1, len(ids)), np.float32))
        view = View(self._scheme.codec_digest, TOKENS, (grid,))
        finding = detect([view], [self._bank], planned=1, threshold=threshold)
        green = np.nan
        if finding.match is not None:
            key = self._keys[finding.match.key_id]
            green = float(self._scheme.green(key, finding.match.list_index)[ids].sum())
        return {
            "num_tokens_scored": len(ids),
            "num_green_tokens": green,
            "green_fraction": green / len(ids) if len(ids) else np.nan,
            "p_value": finding.corrected,
            "prediction": finding.outcome is Outcome.DETECTED,
            "confidence": 1 - finding.corrected,
        }


def _numbered(words: Sequence[int], codes: int) -> Tensor:
    """The words of codes, one each."""
    if len(words) != codes or len(set(words)) != codes:
        raise ValueError(f"{len(set(words))} different words of {len(words)} for {codes} codes")
    return torch.tensor(list(words), dtype=torch.int64)
