"""A mark that lets a test see what a drawing was drawn from."""

from torch import Tensor

from generators.interface import Site
from generators.sampling import Unmarked


class Watching(Unmarked):
    """Notes the logits of every site, and swaps every token for its neighbour."""

    def __init__(self, codes: int) -> None:
        self._codes = codes
        self.seen: list[tuple[Site, Tensor]] = []

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        self.seen.append((site, logits))
        return (tokens + 1) % self._codes
