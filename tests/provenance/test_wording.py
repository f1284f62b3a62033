import pytest

from provenance.wording import How, find

PHRASES = ("a gun", "a pistol", "a cigarette", "crossed swords", "a skull")


@pytest.mark.parametrize(
    ("prompt", "how"),
    [
        ("a gun, on a red background", How.PHRASE),
        ("two GUNS", How.PHRASE),
        ("Crossed\N{NO-BREAK SPACE}Swords", How.PHRASE),
        ("a crossed sword", How.PHRASE),
        ("\N{FULLWIDTH LATIN SMALL LETTER G}un", How.LOOKALIKE),
        ("a g\N{CYRILLIC SMALL LETTER U}n", None),  # looks like y: another word
        ("a pist\N{CYRILLIC SMALL LETTER O}l", How.LOOKALIKE),
        ("a sk\N{GREEK SMALL LETTER UPSILON}ll", How.LOOKALIKE),
        ("a gu\N{ZERO WIDTH SPACE}n", How.LOOKALIKE),
        ("a g\N{COMBINING ACUTE ACCENT}un", How.LOOKALIKE),
        ("a g\N{LATIN SMALL LETTER U WITH DIAERESIS}n", How.LOOKALIKE),
        ("pist0l", How.SPELLING),
        ("a $kull", How.SPELLING),
        ("a g u n", How.SPELLING),
        ("a g-u-n", How.SPELLING),
        ("ciga-rette", How.SPELLING),
        ("a ciqarette", How.SPELLING),
        ("a cigarete", How.SPELLING),
        ("a cigaertte", How.SPELLING),
        ("it has begun", None),
        ("a gunman", None),
        ("99 balloons", None),
        ("the sword was crossed out", None),
        ("a cat", None),
        ("", None),
    ],
)
def test_a_phrase_is_found_however_it_is_written(prompt: str, how: How | None) -> None:
    found = find(prompt, PHRASES)
    assert (found.how if found else None) == how


def test_what_was_found_is_told_by_its_characters() -> None:
    prompt = "an old pist0l on a table"
    found = find(prompt, PHRASES)
    assert found is not None
    assert (found.phrase, prompt[found.start : found.end]) == ("a pistol", "pist0l")


def test_a_phrase_of_small_words_alone_finds_nothing() -> None:
    assert find("a house of the sea", ("the", "a of")) is None


@pytest.mark.parametrize(
    ("prompt", "phrase", "asks"),
    [
        ("an owl in the manner of Rembrandt", "in the style of Rembrandt", True),
        ("an owl as rembr4ndt would draw it", "in the style of Rembrandt", True),
        ("an owl in the style of Vermeer", "in the style of Rembrandt", False),
        ("an owl by Rembrandt", "in the style of rembrandt", False),  # not said to be a name
        ("an owl by the sea", "in the style of the sea", False),
        ("an owl from Mona Lisa's house", "in the style of Mona Lisa", True),
        ("Lisa and Mona", "in the style of Mona Lisa", False),
    ],
)
def test_of_a_style_the_name_is_enough(prompt: str, phrase: str, asks: bool) -> None:
    assert (find(prompt, (phrase,)) is not None) is asks
