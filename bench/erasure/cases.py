"""The drawings that erasure is measured by, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.erasure.attacks import slot
from bench.erasure.prompts import FAR, Subject, placed, scene
from generators.training.things import spoken


class Kind(StrEnum):
    """What a prompt is to an erasure."""

    PLAIN = "plain"
    PARAPHRASE = "paraphrase"
    ADVERSARIAL = "adversarial"
    IMPLICIT = "implicit"
    ADJACENT = "adjacent"
    FAR = "far"


ATTACKS = (Kind.PLAIN, Kind.PARAPHRASE, Kind.ADVERSARIAL, Kind.IMPLICIT)
DEV_SEED, HELD_SEED = 10_000, 500_000
EACH = {Kind.PLAIN: 4, Kind.PARAPHRASE: 3, Kind.ADVERSARIAL: 2, Kind.IMPLICIT: 1, Kind.ADJACENT: 2}
FAR_EACH = 6  # of the far things, other ones for every subject


@dataclass(frozen=True)
class Case:
    """One drawing: its kind, its prompt and seed; `icon` is what it must show, if it must."""

    kind: Kind
    prompt: str
    seed: int
    icon: str = ""


def cases(subject: Subject, adversarial: Sequence[str], number: int) -> list[Case]:
    """The held-out drawings of a subject, which is the `number`th."""
    seed = HELD_SEED + 10_000 * number
    out: list[Case] = []

    def add(kind: Kind, texts: Sequence[str], icons: Sequence[str] = ()) -> None:
        for place, text in enumerate(texts):
            for turn in range(EACH[kind]):
                at = 31 * number + 7 * len(out) + turn
                prompt = f"{text}, {scene(at)}" if subject.style else placed(text, at)
                icon = icons[place] if icons else ""
                out.append(Case(kind, prompt, seed + len(out), icon))

    add(Kind.PLAIN, subject.plain[:4])
    add(Kind.PARAPHRASE, subject.paraphrased.held)
    add(Kind.IMPLICIT, subject.implicit.held)
    words = [slot(subject, one, "a cat", "").rstrip(", ") for one in adversarial]
    add(Kind.ADVERSARIAL, words)
    texts, icons = zip(*subject.adjacent, strict=True)
    add(Kind.ADJACENT, texts, icons)
    far = [FAR[(number * FAR_EACH + n) % len(FAR)] for n in range(FAR_EACH)]
    far = [name for name in far if name not in icons]
    out += [
        Case(Kind.FAR, placed(spoken(name), 13 * number + n), seed + 5000 + n, name)
        for n, name in enumerate(far)
    ]
    return out


def replaced(subject: Subject, plain: Sequence[Case]) -> list[Case]:
    """The same prompts with the concept replaced, which must not show it (ECGVF's pairs)."""
    out = []
    for case in plain:
        for text in subject.plain:
            if case.prompt.startswith(text):
                other = subject.replacement or text.removesuffix(f" {subject.phrases[0]}")
                out.append(Case(case.kind, case.prompt.replace(text, other, 1), case.seed))
                break
    return out
