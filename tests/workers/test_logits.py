"""Somebody's own `generate()` call, marked by a processor and detected in its tokens."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import LogitsProcessorList

from provenance.watermark.colouring import independent
from provenance.watermark.keys import Key
from provenance.watermark.scheme import Scheme
from tests.generators.huggingface import tiny
from tests.workers import toys
from workers.logits import MarkDetector, MarkLogits

SCHEME = Scheme("lexical/1", "janus-toy", b"j" * 32, independent(tiny.CODES), 2)


def drawn(processor: MarkLogits | None, *, temperature: float = 1.0) -> Tensor:
    """Tokens (2, T) by the library's own loop, with guidance."""
    torch.manual_seed(1)
    batch: dict[str, Any] = dict(tiny.tokenise(["a cat"] * 2))
    tokens: Tensor = tiny.janus().generate(
        **batch,
        generation_mode="image",
        do_sample=True,
        guidance_scale=1.5,
        temperature=temperature,
        logits_processor=LogitsProcessorList([processor] if processor else []),
    )
    return tokens


def told(detector: MarkDetector, tokens: Tensor, name: str) -> list[float]:
    """One of the figures, row by row."""
    found: list[float] = getattr(detector(tokens), name).tolist()
    return found


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_librarys_own_loop_draws_marked_tokens(temperature: float) -> None:
    key = toys.key()
    processor = MarkLogits(SCHEME, key, 1, delta=6.0, temperature=temperature)
    detector = MarkDetector(SCHEME, [key])
    marked, bare = drawn(processor, temperature=temperature), drawn(None, temperature=temperature)
    whole = marked.reshape(1, -1)
    assert told(detector, whole, "p_value")[0] < 1e-6
    assert told(detector, whole, "green_fraction")[0] > 0.9
    assert told(detector, whole, "prediction") == [True]
    assert told(detector, bare, "prediction") == [False, False]
    assert min(told(detector, bare, "p_value")) > 1e-3


def test_temperature_is_made_up_for() -> None:
    key, scores = toys.key(), torch.zeros(1, tiny.CODES)
    green = SCHEME.green(key, 0)
    for temperature in (1.0, 0.5):
        processor = MarkLogits(SCHEME, key, 0, delta=2.0, temperature=temperature)
        raised = processor(torch.zeros(1, 3), scores)[0] / temperature
        assert np.allclose(raised.numpy(), 2.0 * green)


def test_words_that_are_no_codes_are_left_alone() -> None:
    key, words = toys.key(), [100 + (7 * n) % tiny.CODES for n in range(tiny.CODES)]
    processor = MarkLogits(SCHEME, key, 0, delta=2.0, words=words)
    raised = processor(torch.zeros(1, 3), torch.zeros(1, 200))[0].numpy()
    assert np.array_equal(raised[words], 2.0 * SCHEME.green(key, 0))
    assert not raised[:100].any()
    green = [words[n] for n in np.flatnonzero(SCHEME.green(key, 0))]
    ids = torch.tensor([[1, 2, *green, 3]])
    detector = MarkDetector(SCHEME, [key], words=words)
    assert told(detector, ids, "num_tokens_scored") == [len(green)]
    assert told(detector, ids, "p_value")[0] < 1e-6


@pytest.mark.parametrize("words", [[1, 2], [1] * tiny.CODES])
def test_words_that_do_not_fit_are_refused(words: list[int]) -> None:
    with pytest.raises(ValueError, match=f"for {tiny.CODES} codes"):
        MarkLogits(SCHEME, toys.key(), 0, delta=2.0, words=words)
    with pytest.raises(ValueError, match="say with `words`"):
        MarkLogits(SCHEME, toys.key(), 0, delta=2.0)(torch.zeros(1, 1), torch.zeros(1, 9))


def test_another_key_finds_nothing() -> None:
    other = Key(b"\x77" * 32, "other", 1, toys.key().state, toys.key().created)
    tokens = drawn(MarkLogits(SCHEME, toys.key(), 1, delta=6.0))
    assert told(MarkDetector(SCHEME, [other]), tokens, "prediction") == [False, False]


@pytest.mark.parametrize("marked", [True, False])
def test_prior_tokens_of_glm_image_are_marked_in_the_librarys_own_loop(marked: bool) -> None:
    key, words = toys.key(), range(tiny.CODES)
    processor = MarkLogits(SCHEME, key, 1, delta=4.0 if marked else 0.0, words=words)
    ids = torch.tensor([[101, 90, 91, 92, 111]] * 4)
    torch.manual_seed(2)
    asked: dict[str, Any] = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "image_grid_thw": torch.tensor([[1, 6, 6]] * 4),
        "images_per_sample": torch.ones(4, dtype=torch.int64),
    }
    tokens = tiny.glm_image().generate(
        **asked,
        max_new_tokens=36,
        min_new_tokens=36,
        do_sample=True,
        top_k=0,
        logits_processor=LogitsProcessorList([processor]),
    )
    whole = torch.as_tensor(tokens)[:, ids.shape[1] :].reshape(1, -1)
    (p,) = told(MarkDetector(SCHEME, [key], words=words), whole, "p_value")
    assert p < 1e-6 if marked else p > 1e-3
