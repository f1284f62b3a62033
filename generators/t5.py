"""The states that LlamaGen's text models are asked with: T5's encoder, from a folder.

The published models were trained with the encoder of flan-t5-xl (Apache-2.0): 120 places, padded
after the text, truncated. Nothing is downloaded: the folder is one that `save_pretrained` writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, T5EncoderModel

PLACES = 120


class NoEncoder(ValueError):
    """A folder that holds no T5 encoder; the text says which and why."""


class T5States:
    """Last hidden states (N, places, C) of texts, and which places are text (N, places)."""

    def __init__(self, folder: Path, *, places: int = PLACES) -> None:
        self.places = places
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = T5EncoderModel.from_pretrained(folder, local_files_only=True)
            self._model = model.eval()  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as e:
            reason = str(e).partition("\n")[0]
            raise NoEncoder(f"{folder} holds no T5 encoder: {reason}") from e

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        batch = self._tokenizer(
            list(texts),
            max_length=self.places,
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        )
        valid = batch["attention_mask"]
        states: Tensor = self._model(input_ids=batch["input_ids"], attention_mask=valid)[0]
        return states, valid.bool()
