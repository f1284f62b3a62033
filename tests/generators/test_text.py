import pytest
import torch

from generators.text import TextEncoder, clauses


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
