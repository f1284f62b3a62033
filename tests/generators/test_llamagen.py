import numpy as np
import pytest
import torch

from generators.guidance import mix
from generators.interface import CannotAsk, Prompt, Unsupported
from generators.llamagen import ByText
from generators.products import halve
from generators.sampling import Request, Unerased, Unmarked, draw
from tests.generators.letters import CODES, HOW, SIDE, generator
from tests.generators.watching import Watching


@pytest.mark.parametrize("text", [False, True])
def test_drawing_token_by_token_gives_the_logits_of_one_pass_over_what_was_drawn(
    text: bool,
) -> None:
    model, codec = generator(text=text)
    watching, prompt = Watching(CODES), "abc" if text else "3"
    drawn = draw(
        model, codec, [Request(prompt, 7, HOW)], erasures=[Unerased()], watermarks=[watching]
    )[0]
    tokens = torch.from_numpy((drawn.tokens - 1) % CODES).flatten()[None]
    told = model.asking(model.transformer, [prompt])
    with torch.inference_mode():
        both = torch.cat([told.prefix, model.transformer.cls_embedding.empty(1)])
        valid = None if told.valid is None else told.valid.expand(2, -1)
        logits = model.transformer(both, tokens[:, :-1].expand(2, -1), valid)
    seen = torch.cat([logits for _, logits in watching.seen])
    torch.testing.assert_close(seen, mix(logits[0], logits[1], 2.0), rtol=1e-4, atol=1e-4)
    assert [int(site.positions) for site, _ in watching.seen] == list(range(SIDE**2))


def test_padding_says_nothing() -> None:
    model, _ = generator(text=True)
    asking = model.asking
    short, padded = (asking(model.transformer, [text]) for text in ("ab", "ab"))
    assert isinstance(asking, ByText)
    assert padded.valid is not None
    assert padded.valid.tolist() == [[False, False, False, True, True]], "text stands last"
    with torch.inference_mode():
        other = padded.prefix.clone()
        other[:, :3] = 77.0
        tokens = torch.zeros(1, 4, dtype=torch.int64)
        logits = model.transformer(short.prefix, tokens, padded.valid)
        torch.testing.assert_close(model.transformer(other, tokens, padded.valid), logits)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("text", [False, True])
def test_a_request_is_drawn_the_same_alone_and_in_a_batch(text: bool, half: bool) -> None:
    model, codec = generator(text=text)
    if half:
        halve(model.transformer)
    prompts = ["a", "bcd", "ef"] if text else ["0", "4", "2"]
    requests = [Request(prompt, 10 + n, HOW) for n, prompt in enumerate(prompts)]

    def drawn(some: list[Request]) -> list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
        none, bare = [Unerased()] * len(some), [Unmarked()] * len(some)
        return [d.tokens for d in draw(model, codec, some, erasures=none, watermarks=bare)]

    together = drawn(requests)
    for request, tokens in zip(requests, together, strict=True):
        assert np.array_equal(drawn([request])[0], tokens)


def test_a_branch_against_is_a_prompt_like_any_other() -> None:
    model, _ = generator(text=True)
    with torch.inference_mode():
        run = model.open([Prompt("abc", against=("de",)), Prompt("de")])
        first = run.propose()
    assert first is not None
    assert first.against.shape == (1, 1, CODES)
    torch.testing.assert_close(first.against[0], first.logits[0, 1])


def test_what_it_cannot_do_is_said() -> None:
    model, _ = generator()
    with pytest.raises(CannotAsk, match="below 5: 'a cat'"):
        model.open([Prompt("a cat")])
    with pytest.raises(Unsupported, match="projected out"):
        model.open([Prompt("1", without=("a gun",))])
