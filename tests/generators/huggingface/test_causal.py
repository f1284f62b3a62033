from typing import Any

import pytest
import torch
from torch import Tensor

from generators.guidance import mix
from generators.huggingface.causal import CausalModel, Room
from generators.huggingface.emu3 import Emu3Codec, Emu3Network
from generators.huggingface.imagegpt import ImageGPTCodec, ImageGPTNetwork
from generators.huggingface.janus import JanusCodec, JanusNetwork
from generators.interface import CannotAsk, Layout, Prompt, Unsupported
from tests.generators.huggingface import tiny


def likeliest(model: CausalModel, texts: list[str], guidance: float) -> Tensor:
    """Tokens (B, T), the likeliest at every step."""
    with torch.inference_mode():
        run = model.open([Prompt(text) for text in texts])
        while (proposal := run.propose()) is not None:
            tokens = mix(proposal.logits[0], proposal.logits[1], guidance).argmax(-1)
            run.commit(tokens, tokens)
    return run.tokens().flatten(1)


@pytest.mark.parametrize("texts", [["a cat"], ["a cat", "an owl at night"]])
def test_janus_draws_what_the_library_draws(texts: list[str]) -> None:
    model = tiny.janus()
    mine = likeliest(CausalModel(JanusNetwork(model, tiny.tokenise)), texts, 3.0)
    batch: dict[str, Any] = dict(tiny.tokenise(texts))
    theirs = model.generate(**batch, generation_mode="image", do_sample=False, guidance_scale=3.0)
    assert len(theirs.unique()) > 5, "it must have something to disagree about"
    assert torch.equal(mine, theirs)


def test_imagegpt_draws_what_the_library_draws() -> None:
    model = tiny.imagegpt()
    mine = likeliest(CausalModel(ImageGPTNetwork(model)), ["", ""], 1.0)
    first = torch.full((2, 1), tiny.CODES)
    theirs = model.generate(input_ids=first, max_length=1 + tiny.SIDE**2, do_sample=False)[:, 1:]
    assert len(theirs.unique()) > 3
    assert torch.equal(mine, theirs)


def test_emu3_draws_what_the_library_draws() -> None:
    model, texts = tiny.emu3(), ["a cat", "an owl at night"]
    network = Emu3Network(model, tiny.tokenise, Layout(4, 5), negative="xy")
    mine = likeliest(CausalModel(network), texts, 3.0)
    batch, words = tiny.tokenise(texts), sorted(tiny.WORDS.values())
    start = batch["input_ids"].shape[1]

    def allowed(_: int, ids: Tensor) -> list[int]:
        return [tiny.END] if (len(ids) - start) % 6 == 5 else words

    negative = tiny.tokenise(["xy", "xy"])
    theirs = model.generate(
        **batch,
        max_new_tokens=24,
        do_sample=False,
        guidance_scale=3.0,
        negative_prompt_ids=negative["input_ids"],
        negative_prompt_attention_mask=negative["attention_mask"],
        prefix_allowed_tokens_fn=allowed,
    )[:, start:]
    grid = model.model.vocabulary_mapping.convert_bpe2img(theirs.view(-1, 4, 6))
    assert len(grid.unique()) > 3
    assert torch.equal(mine, grid.flatten(1).long())


def test_emu3_tokens_are_told_as_the_library_tells_them() -> None:
    model = tiny.emu3()
    codec = Emu3Codec(model)
    tokens = torch.randint(tiny.CODES, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    pixels = codec.decode(tokens)
    frames = (pixels * 2 - 1)[:, None].repeat(1, 4, 1, 1, 1)
    vq = model.model.vqmodel
    with torch.inference_mode():
        latent = vq.quant_conv(vq.encoder(frames).permute(0, 2, 1, 3, 4)).permute(0, 2, 1, 3, 4)
        assert torch.equal(codec.encode(pixels), vq.quantize(latent).squeeze(1))
        wanted = vq.decode(tokens).clamp(-1, 1) / 2 + 0.5
    torch.testing.assert_close(pixels, wanted)


def test_the_first_logits_are_the_librarys() -> None:
    model = tiny.janus()
    batch = tiny.tokenise(["a cat"])
    with torch.inference_mode():
        run = CausalModel(JanusNetwork(model, tiny.tokenise)).open([Prompt("a cat")])
        proposal = run.propose()
        states = model.model.language_model(**batch).last_hidden_state[:, -1]
        wanted = model.model.generation_head(states)
    assert proposal is not None
    torch.testing.assert_close(proposal.logits[0, :, 0], wanted, rtol=1e-4, atol=1e-5)


def test_a_branch_against_is_a_prompt_like_any_other() -> None:
    model = CausalModel(JanusNetwork(tiny.janus(), tiny.tokenise))
    with torch.inference_mode():
        first = model.open([Prompt("abc", against=("a dog",)), Prompt("a dog")]).propose()
    assert first is not None
    torch.testing.assert_close(first.against[0], first.logits[0, 1])


def test_janus_tokens_are_told_by_cosine() -> None:
    model = tiny.janus()
    codec = JanusCodec(model.model.vqmodel)
    tokens = torch.arange(tiny.SIDE**2).reshape(1, tiny.SIDE, tiny.SIDE)
    pixels = codec.decode(tokens)
    wanted = model.decode_image_tokens(tokens.flatten(1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(pixels, wanted.detach().clamp(-1, 1) / 2 + 0.5)
    latent = model.model.vqmodel.quant_conv(model.model.vqmodel.encoder(pixels * 2 - 1))
    vectors = torch.nn.functional.normalize(latent, dim=1).permute(0, 2, 3, 1)
    found = codec.encode(pixels)
    assert torch.equal(found, (vectors @ codec.codes.vectors.T).argmax(-1))
    theirs = model.model.vqmodel.encode(pixels * 2 - 1).image_tokens.view_as(found)
    assert (found != theirs).any(), "codes differ in length, so the library's own encoder differs"


@pytest.mark.parametrize("shape", [(12, 12), (13, 15), (6, 8)])
def test_janus_reads_whole_tokens_of_pictures_of_any_size(shape: tuple[int, int]) -> None:
    codec = JanusCodec(tiny.janus().model.vqmodel)
    pixels = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    high, wide = (side // 2 for side in shape)
    reading = codec.read(pixels)
    assert reading.tokens.shape == reading.margin.shape == (2, high, wide)
    assert torch.equal(reading.tokens, codec.encode(pixels[:, :, : 2 * high, : 2 * wide]))
    assert codec.read(pixels[:, :, :1]).tokens.shape == (2, 0, 0)


def test_many_tokens_are_read_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = JanusCodec(tiny.janus().model.vqmodel)
    pixels = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    whole = codec.read(pixels)
    monkeypatch.setattr("generators.codecs.described.AT_ONCE", 5)
    assert torch.equal(codec.read(pixels).tokens, whole.tokens)
    torch.testing.assert_close(codec.read(pixels).margin, whole.margin)


def test_what_was_drawn_in_a_palette_is_described_exactly() -> None:
    palette = torch.rand(512, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    codec = ImageGPTCodec(palette)
    tokens = torch.randint(512, (2, 32, 32), generator=torch.Generator().manual_seed(1))
    assert torch.equal(codec.encode(codec.decode(tokens)), tokens)


def test_what_they_cannot_do_is_said() -> None:
    with pytest.raises(CannotAsk, match="without a prompt, and was given 'a cat'"):
        CausalModel(ImageGPTNetwork(tiny.imagegpt())).open([Prompt("a cat")])
    with pytest.raises(Unsupported, match="projected out"):
        CausalModel(JanusNetwork(tiny.janus(), tiny.tokenise)).open([Prompt("a", without=("b",))])


def test_the_memory_of_keys_and_values_is_taken_once() -> None:
    network = Emu3Network(tiny.emu3(), tiny.tokenise, Layout(4, 5), negative="xy")
    with torch.inference_mode():
        run = CausalModel(network).open([Prompt("a cat"), Prompt("an owl")])
        seen = set()
        while (proposal := run.propose()) is not None:
            tokens = proposal.logits[0].argmax(-1)
            run.commit(tokens, tokens)
            rooms = [one for one in run.cache.layers if isinstance(one, Room)]
            kept = [part for one in rooms for part in (one.keys, one.values) if part is not None]
            seen.add(tuple(part.data_ptr() for part in kept))
            assert len(kept) == 4
    assert len(seen) == 1
    fed = len("an owl") + 2 + 4 * 5 - 1 + 3  # all but the last token and its end
    assert run.cache.get_seq_length() == fed
