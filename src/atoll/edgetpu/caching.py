"""Which layers are cached on the chip, where not all of them fit.

Layers are cached whole or not at all: so are all steps of the two published sweeps. Which ones is
read off the logs of larger networks. They leave 4 to 31 words, too few for a pass through the graph
that takes what fits: the memory is filled as far as whole layers can fill it. In
facenet and Inception-ResNet v2 what is printed as on-chip and off-chip adds up to the parameters in
the file, so their layers of 32 filters, whose rows fill a word to the half, are streamed: what
counts is what need not be sent. VGG16 keeps the layers that run in several passes over the plane,
and need their parameters in each, and the dense ones.

Where several choices save and fill as much, the layers that come last are kept. No log says so, but
published times do: late layers have small planes, so that little computing hides their streaming.
With the first ones kept, EfficientNet-EdgeTPU M would take a third longer than it does, and VGG16 a
tenth less (docs/latency.md).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from atoll.edgetpu.chip import BEAGLE

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Layer:
    """What has to be known of a layer to find room for it.

    Attributes:
        words: The memory that it takes, in words.
        saved: The bytes that need not be sent at a call where it is cached.
        block: Where blocks must lie whole on one tile: the words of one; else 0.
    """

    words: int
    saved: int
    block: int = 0


def choose(layers: Sequence[Layer], words: int, tiles: int = BEAGLE.tiles) -> list[bool]:
    """Decides which layers are cached.

    First the dense ones in the graph's order, each block whole on the emptiest tile. Then those
    that save most for their room; among equals, those that fill it best.

    Args:
        layers: The layers in the graph's order.
        words: The memory for them in all tiles together, in words.
        tiles: Tiles that share it.

    Returns:
        For every layer whether it is cached. One without parameters is.
    """
    cached = [layer.words == 0 for layer in layers]
    free = [words // tiles] * tiles
    left = words
    spread: dict[Fraction, list[int]] = {}
    for index, layer in enumerate(layers):
        if not layer.block:
            if layer.words:
                spread.setdefault(Fraction(layer.saved, layer.words), []).append(index)
        elif layer.words <= left and _place(free, layer):
            cached[index] = True
            left -= layer.words
    for worth in sorted(spread, reverse=True):
        places = spread[worth]
        for number in _fill([layers[i].words for i in places], left):
            cached[places[number]] = True
            left -= layers[places[number]].words
    return cached


def _place(free: list[int], layer: Layer) -> bool:
    """Gives every block of a layer to the emptiest tile; changes nothing where one does not fit."""
    whole, rest = divmod(layer.words, layer.block)
    room = sum(words // layer.block for words in free)
    # Said before any is placed: many layers that just do not fit would take long to try.
    if room < whole or (room == whole and max(words % layer.block for words in free) < rest):
        return False
    heap = [(-words, tile) for tile, words in enumerate(free)]
    heapq.heapify(heap)
    for taken in [layer.block] * whole + [rest]:
        words, tile = heap[0]
        heapq.heapreplace(heap, (words + taken, tile))
        free[tile] -= taken
    return True


def _fill(sizes: Sequence[int], room: int) -> list[int]:
    """The places of sizes that fill a room best, together; where several do, the last ones.

    The sums that can be reached are bits of one integer, so that a size costs a shift.
    """
    if sum(sizes) <= room:
        return list(range(len(sizes)))
    within = (1 << (room + 1)) - 1
    # Sums that the sizes before a place can reach.
    reach = [1]
    for size in sizes:
        sums = reach[-1]
        reach.append((sums | sums << size) & within if size <= room else sums)
    target = reach[-1].bit_length() - 1
    taken = []
    for place in reversed(range(len(sizes))):
        size = sizes[place]
        if size <= target and reach[place] >> (target - size) & 1:
            taken.append(place)
            target -= size
    return taken
