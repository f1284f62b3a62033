"""Draw the loss curves of recipes from what they printed: `python -m generators.training.curves`.

Every log line reads "step seconds name value name value ..."; each name becomes a panel with one
line a log, in the order given.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from PIL import Image, ImageDraw

PANEL = (300, 170)
EDGE = 34
COLOURS = ("#1f5fa8", "#b5502f", "#3b8f4c", "#8a4fa3")
PAIR = re.compile(r"(error|read|clean|attacked|loss|right|wrong) ([0-9.]+)")


def points(log: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every name in a log."""
    out: dict[str, list[tuple[int, float]]] = {}
    for line in log.read_text().splitlines():
        if (head := line.split(" ", 1)[0]).isdigit():
            for name, value in PAIR.findall(line):
                out.setdefault(name, []).append((int(head), float(value)))
    return out


def smoothed(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The mean over five neighbours."""
    values = [value for _, value in curve]
    means = [
        sum(part) / len(part) for i in range(len(values)) if (part := values[max(0, i - 4) : i + 1])
    ]
    return [(step, mean) for (step, _), mean in zip(curve, means, strict=True)]


def panel(title: str, curves: list[list[tuple[int, float]]]) -> Image.Image:
    """One panel; every curve from its own first to last step."""
    page = Image.new("RGB", (PANEL[0] + 2 * EDGE, PANEL[1] + 2 * EDGE), "white")
    pen = ImageDraw.Draw(page)
    steps = [step for curve in curves for step, _ in curve]
    values = [value for curve in curves for _, value in curve]
    top, low, last = max(values), min(values), max(steps)
    pen.rectangle((EDGE, EDGE, EDGE + PANEL[0], EDGE + PANEL[1]), outline="#999999")
    pen.text((EDGE, 12), title, fill="black")
    pen.text((2, EDGE - 4), f"{top:.2f}", fill="black")
    pen.text((2, EDGE + PANEL[1] - 8), f"{low:.2f}", fill="black")
    pen.text((EDGE + PANEL[0] - 30, EDGE + PANEL[1] + 6), str(last), fill="black")
    for colour, curve in zip(COLOURS, curves, strict=False):
        line = [
            (
                EDGE + PANEL[0] * step / max(last, 1),
                EDGE + PANEL[1] * (top - value) / max(top - low, 1e-9),
            )
            for step, value in smoothed(curve)
        ]
        pen.line(line, fill=colour, width=2)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("recipes", nargs="+", help="title=log[,log ...], one a recipe")
    options = parser.parse_args()
    panels = []
    for recipe in options.recipes:
        title, logs = recipe.split("=", 1)
        joined: dict[str, list[tuple[int, float]]] = {}
        for log in logs.split(","):
            for name, curve in points(Path(log)).items():
                kept = [p for p in joined.get(name, []) if p[0] < curve[0][0]]  # a resumed run
                joined[name] = kept + curve
        panels += [panel(f"{title}: {name}", [curve]) for name, curve in joined.items()]
    width, height = panels[0].size
    page = Image.new("RGB", (min(3, len(panels)) * width, -(-len(panels) // 3) * height), "white")
    for number, picture in enumerate(panels):
        page.paste(picture, (number % 3 * width, number // 3 * height))
    page.save(options.out)


if __name__ == "__main__":
    main()
