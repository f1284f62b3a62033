from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers.models.unets.uvit_2d import UVit2DModel
from diffusers.schedulers.scheduling_amused import AmusedScheduler
from torch import Tensor

from generators.guidance import mix
from generators.huggingface.amused import AmusedNetwork
from generators.huggingface.vqmodel import VQModelCodec
from generators.interface import Prompt, Unsupported
from generators.masked import MaskedModel, Told
from generators.sampling import Request, Sampling, Unerased, Unmarked, draw
from tests.generators.huggingface.test_vqmodel import tiny

SIDE, CODES, WIDTH = 8, 64, 16
HOW = Sampling(guidance=3, temperature=1, top_k=CODES, top_p=1)


def tell(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    rows = [np.random.default_rng([ord(one) for one in text] or [0]) for text in texts]
    numbers = [rng.normal(size=(6, WIDTH)).astype(np.float32) for rng in rows]
    states = torch.from_numpy(np.stack(numbers))
    return states[:, 0], states[:, 1:]


def network() -> tuple[AmusedNetwork, UVit2DModel]:
    """With random weights."""
    torch.manual_seed(0)
    model = UVit2DModel(
        hidden_size=32,
        cond_embed_dim=WIDTH,
        micro_cond_encode_dim=4,
        micro_cond_embed_dim=20,
        encoder_hidden_size=WIDTH,
        vocab_size=CODES + 1,
        codebook_size=CODES,
        in_channels=32,
        block_out_channels=32,
        num_res_blocks=1,
        block_num_heads=2,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        sample_size=SIDE,
    )
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return AmusedNetwork(model, tell, stride=2), model


class Uneven:
    """The same, but every place likes other tokens: at first all are masked, and all alike."""

    def __init__(self, given: AmusedNetwork) -> None:
        self._given, self.layout, self.mask = given, given.layout, given.mask
        self.likes = torch.randn(SIDE * SIDE, CODES, generator=torch.Generator().manual_seed(4))

    def tell(self, texts: Sequence[str]) -> Told:
        return self._given.tell(texts)

    def logits(self, tokens: Tensor, told: Told) -> Tensor:
        return self._given.logits(tokens, told) + self.likes


def test_the_likeliest_tokens_are_filled_in_as_the_library_fills_them_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, model = network()
    uneven, how = Uneven(given), replace(HOW, top_k=1)

    def likeliest(weights: Tensor, count: int, *, generator: None) -> Tensor:
        return weights.argmax(-1, keepdim=True)

    monkeypatch.setattr(torch, "multinomial", likeliest)  # the library knows no greedy drawing
    mine = draw(
        MaskedModel(uneven, steps=5, noise=(0.0, 0.0)),
        VQModelCodec(tiny("group"), dark=0),
        [Request("a cat", 1, how), Request("owl", 2, how)],
        erasures=[Unerased()] * 2,
        watermarks=[Unmarked()] * 2,
    )
    scheduler = AmusedScheduler(mask_token_id=CODES)
    scheduler.set_timesteps(5, temperature=(0, 0))
    pooled, states = tell(["a cat", "owl", "", ""])
    asked = torch.tensor([[16.0, 16.0, 0, 0, 6]]).expand(4, -1)
    tokens = torch.full((2, SIDE, SIDE), CODES)
    with torch.inference_mode():
        for timestep in scheduler.timesteps:
            logits = model(
                tokens.repeat(2, 1, 1),
                micro_conds=asked,
                pooled_text_emb=pooled,
                encoder_hidden_states=states,
            )
            logits = logits + uneven.likes.T.reshape(CODES, SIDE, SIDE)
            guided = mix(logits[:2], logits[2:], 3.0)
            tokens = scheduler.step(guided, timestep, tokens).prev_sample
    found = np.stack([one.tokens for one in mine])
    assert len(np.unique(found)) > 5
    assert np.array_equal(found, tokens.numpy())


def test_every_step_leaves_fewer_masked_and_the_last_none() -> None:
    given, _ = network()
    run = MaskedModel(given, steps=4).open([Prompt("a"), Prompt("b")])
    left = []
    with torch.inference_mode():
        while (proposal := run.propose()) is not None:
            left.append(proposal.logits.shape[2])
            tokens = proposal.logits[0].argmax(-1)
            run.commit(tokens, tokens)
            run.settle(torch.rand(tokens.shape))
    assert left == [64, 59, 45, 24]
    assert run.tokens().shape == (2, SIDE, SIDE)


def test_a_request_does_not_depend_on_its_batch_mates() -> None:
    given, _ = network()
    codec = VQModelCodec(tiny("group"), dark=0)

    def tokens(some: list[Request]) -> list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
        none, bare = [Unerased()] * len(some), [Unmarked()] * len(some)
        model = MaskedModel(given, steps=6)
        return [d.tokens for d in draw(model, codec, some, erasures=none, watermarks=bare)]

    requests = [Request("a cat", 1, HOW), Request("owl", 2, HOW), Request("", 3, HOW)]
    for request, together in zip(requests, tokens(requests), strict=True):
        assert np.mean(tokens([request])[0] == together) > 0.95


def test_what_it_cannot_do_is_said() -> None:
    given, _ = network()
    with pytest.raises(Unsupported, match="projected out"):
        MaskedModel(given).open([Prompt("a", without=("b",))])
    with pytest.raises(ValueError, match="at least one step"):
        MaskedModel(given, steps=0)
