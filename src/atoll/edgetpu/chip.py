"""The chips: one table of what is built into them."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Chip:
    """One chip.

    Attributes:
        name: As compiled files call it.
        tiles: Tiles, in a square grid.
        cells: Multiply-accumulate cells in a tile; each makes one output channel at a time.
        macs: Multiplications of a cell in one cycle: so many input channels at a time.
        narrow_bytes: Memory for activations, in bytes a tile.
        wide_bytes: Memory for parameters, in bytes a tile.
        clocks: Cycles per second, by the name of the runtime's build.
        source: Where the figures come from.
    """

    name: str
    tiles: int
    cells: int
    macs: int
    narrow_bytes: int
    wide_bytes: int
    clocks: Mapping[str, float]
    source: str

    @property
    def parameter_memory(self) -> int:
        """Bytes for parameters in all tiles together."""
        return self.tiles * self.wide_bytes


BEAGLE = Chip(
    name="beagle",
    tiles=16,
    cells=64,
    macs=4,
    narrow_bytes=196_608,
    wide_bytes=524_288,
    clocks=MappingProxyType({"max": 500e6, "std": 250e6}),
    source="tiles, cells, narrow memory and clocks: the published runtime's chip table; "
    "macs and wide memory: inferred (4 TOPS, 8 MiB)",
)
