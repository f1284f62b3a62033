import pytest
import torch

from generators.text import TextEncoder, clauses, project


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a red apple", ("a red apple", "")),
        ("a red apple, on a blue background", ("a red apple", "on a blue background")),
        ("a red apple on a blue background", ("a red apple", "on a blue background")),
        ("  a dog \n in the  snow ", ("a dog", "in the snow")),
        ("fish, on teal and blue clouds, at night", ("fish", "on teal and blue clouds, at night")),
        ("an onion", ("an onion", "")),
    ],
)
def test_a_prompt_has_a_subject_and_a_scene(prompt: str, parts: tuple[str, str]) -> None:
    assert clauses(prompt) == parts


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder()


def test_a_synonym_is_nearer_than_another_thing(encoder: TextEncoder) -> None:
    kitten, cat, truck = encoder.embed(["a kitten", "a cat", "a delivery truck"])
    assert kitten @ cat > 0.6 > 0.4 > kitten @ truck
    assert torch.allclose(cat.norm(), torch.ones(()), atol=1e-5)


def test_the_vector_of_a_prompt_does_not_depend_on_its_batch(encoder: TextEncoder) -> None:
    long = "a very long prompt about many things, on a blue to green gradient"
    alone = encoder.prompts(["a cat"])
    assert torch.equal(encoder.prompts([long, "a cat"])[1], alone[0])
    assert not alone[0, 1].any()


def test_what_is_projected_out_is_gone_and_the_rest_is_as_long_as_before() -> None:
    phrases = torch.tensor([[1.0, 0, 0, 0], [0.6, 0.8, 0, 0]])  # span the first two axes
    prompt = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.0, 0, 0, 0.9]])
    left = project(prompt, phrases, torch.ones(2, 4))
    assert torch.allclose(left @ phrases.T, torch.zeros(2, 2), atol=1e-6)
    assert torch.allclose(left[0], torch.tensor([0.0, 0, 0.5**0.5, 0.5**0.5]))
    assert torch.equal(left[1], prompt[1])


@pytest.mark.parametrize("rest", [0.0, 1e-9, 0.3])
def test_of_a_clause_that_is_the_phrase_the_neutral_one_is_left(rest: float) -> None:
    prompt = torch.tensor([[0.9, rest, 0, 0], [0.0, 0, 0, 0]])
    neutral = torch.tensor([[5.0, 0, 0, 3], [1.0, 1, 1, 1]])
    left = project(prompt, torch.tensor([[1.0, 0, 0, 0]]), neutral)
    assert torch.allclose(left[0], torch.tensor([0.0, 0, 0, prompt[0].norm()]))
    assert torch.equal(left[1], prompt[1]), "what is not said stays unsaid"
