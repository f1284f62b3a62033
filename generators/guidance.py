"""Classifier-free guidance: how the logits of several branches become one."""

from __future__ import annotations

from torch import Tensor


def mix(conditional: Tensor, unconditional: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance as LlamaGen applies it: u + s (c - u)."""
    return unconditional + guidance * (conditional - unconditional)
