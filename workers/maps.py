"""Pictures that show where evidence lies in another: its tokens, its mark, what was changed.

They are for looking at. Nothing is decided by them, and a picture that was changed where the mark
never was shows nothing of it here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from provenance.forensics.answer import Answer
from provenance.forensics.member import CropScores
from provenance.image import Pixels, encode_png
from provenance.watermark.detect import View
from provenance.watermark.geometry import Frame, framed
from provenance.watermark.keys import Key
from workers.marking import Markers
from workers.verify import Verified

CELL = 8  # px of a map a token
GREEN, RED, BLUE = (0.10, 0.62, 0.24), (0.83, 0.18, 0.16), (0.04, 0.29, 0.56)
AROUND = 2  # tokens to each side that the density at a place is taken over
FULL_DENSITY = 4.0  # standard deviations above chance that are drawn in full colour
FULL_SCORE = 4.0  # logits that are drawn in full colour
LARGEST = 768  # px a side of a difference
LOUDER = 8.0  # times that a difference is drawn
ALIKE = 0.02  # by which the shapes of two pictures may differ to be laid over each other

TOKENS, DENSITY, DIFFERENCE = "mark", "density", "difference"
CROPS, TRACE = "classifier", "trace"
SAYS: dict[str, str] = {
    TOKENS: "the tokens of the picture, green where they are in the list of the mark that was "
    "found, red where they are not; paler where they could not be read clearly",
    DENSITY: "where the mark is dense: blue where far more tokens are green than chance would "
    "give, white where no more are, as in a part that was painted over",
    DIFFERENCE: "what differs from the recorded picture: white where the two are equal, red where "
    "they are not, drawn 8 times as strong",
    CROPS: "what each square crop adds to the classifier's score, which they add up to: red for "
    "drawn, blue against, white where no crop lies; it shows where the score comes from, not which "
    "part was drawn",
    TRACE: "where our model's codec cannot draw the picture again: white where it can, redder the "
    "more differs",
}
"""What each map shows."""


def maps_of_mark(markers: Markers, verified: Verified, keys: Sequence[Key]) -> dict[str, bytes]:
    """The finest tokens and the density of a mark that was found, as PNG files by name."""
    match, view = verified.mark.match, verified.view
    if match is None or view is None:
        return {}
    key = next(one for one in keys if one.key_id == match.key_id)
    banks = markers.by_name[match.model].banks([key])
    bank = next(bank for bank in banks if bank.scheme.name == match.scheme)
    green = bank.scheme.green(key, match.list_index, bank.scheme.scales - 1)
    return {
        TOKENS: encode_png(_cells(_tokens(view, green))),
        DENSITY: encode_png(_cells(_density(green[view.readings[-1].tokens]))),
    }


def maps_of_answer(answer: Answer) -> dict[str, bytes]:
    """The crops of a score, and the trace if it is ours, as PNG files by name."""
    maps = {}
    if answer.crops is not None:
        maps[CROPS] = encode_png(_cells(_crops(answer.crops)))
    if answer.traced is not None and answer.traced.own:
        amount = np.clip(answer.traced.map * LOUDER, 0, 1)
        maps[TRACE] = encode_png(_cells(_towards(RED, amount)))
    return maps


def _crops(scores: CropScores) -> NDArray[np.float32]:
    """(3, h, w): the mean of the logits of the crops over each cell, in full colour at 4."""
    height, width = (side // CELL for side in scores.shape)
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for (y, x), logit in zip(scores.places, scores.logits, strict=True):
        rows = slice(y // CELL, (y + scores.side) // CELL)
        columns = slice(x // CELL, (x + scores.side) // CELL)
        total[rows, columns] += logit
        count[rows, columns] += 1
    mean = total / np.maximum(count, 1)
    amount = np.clip(np.abs(mean) / FULL_SCORE, 0, 1)
    return np.where(mean > 0, _towards(RED, amount), _towards(BLUE, amount))


def map_of_difference(pixels: Pixels, original: Pixels) -> bytes:
    """What differs between two pictures (3, H, W) of one shape as PNG; nothing if the shapes do."""
    (_, height, width), (_, other_height, other_width) = pixels.shape, original.shape
    shape, other = width / height, other_width / other_height
    if abs(shape / other - 1) > ALIKE:
        return b""
    scale = min(1.0, LARGEST / max(height, width))
    frame = Frame(max(1, round(height * scale)), max(1, round(width * scale)))
    one, two = (
        framed(torch.from_numpy(np.ascontiguousarray(p)), frame) for p in (pixels, original)
    )
    apart = (one - two).abs().mean(0).numpy() * LOUDER
    return encode_png(_towards(RED, np.clip(apart, 0, 1)))


def _tokens(view: View, green: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(3, h, w), the paler the less clearly a token was read."""
    reading = view.readings[-1]
    margin = reading.margin / max(float(np.quantile(reading.margin, 0.9)), 1e-9)
    strength = np.clip(0.25 + 0.75 * margin, 0, 1)
    on_list = green[reading.tokens]
    return np.where(on_list, _towards(GREEN, strength), _towards(RED, strength))


def _density(green: NDArray[np.bool_]) -> NDArray[np.float32]:  # (h, w) -> (3, h, w)
    """How many standard deviations above chance the green tokens around each place are."""
    counted, tokens = _around(green.astype(np.float64)), _around(np.ones(green.shape))
    deviations = (counted - tokens / 2) / (np.sqrt(tokens) / 2)
    return _towards(BLUE, np.clip(deviations / FULL_DENSITY, 0, 1))


def _around(values: NDArray[np.float64]) -> NDArray[np.float64]:  # (h, w) -> (h, w)
    """The sum over the places near each place."""
    padded = np.pad(values, AROUND)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * AROUND + 1,) * 2)
    total: NDArray[np.float64] = windows.sum(axis=(2, 3))
    return total


def _towards(
    colour: tuple[float, float, float], amount: NDArray[np.floating]
) -> NDArray[np.float32]:  # (h, w) -> (3, h, w)
    """White where nothing is, the colour where all is."""
    full = np.array(colour)[:, None, None]
    return np.asarray(1 - amount[None] * (1 - full), np.float32)


def _cells(small: NDArray[np.float32]) -> NDArray[np.float32]:  # (3, h, w) -> (3, 8h, 8w)
    return np.ascontiguousarray(small.repeat(CELL, 1).repeat(CELL, 2), np.float32)
