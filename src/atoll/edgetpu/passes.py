"""In how many parts a layer's plane is worked off: each wants the parameters again.

Where a layer's inputs and outputs together exceed the chip's activation memory, the plane is
worked off in parts, and what is not cached is sent again for each of them.
"""

from __future__ import annotations

from atoll.edgetpu.chip import BEAGLE

# Up to which share of the activation memory a plane needs so many parts: 2 x 2, 2 x 3 and 3 x 3
# are what a published sweep of convolutions on one plane shows; little else is known.
_PARTS = ((1.0, 1), (1.66, 4), (1.87, 6))
_MOST_PARTS = 9


def spatial_passes(activation_bytes: int) -> int:
    """Predicts how many parts a layer's plane is cut into.

    Args:
        activation_bytes: The layer's inputs and outputs, in bytes.

    Returns:
        How often its parameters are sent.
    """
    share = activation_bytes / (BEAGLE.tiles * BEAGLE.narrow_bytes)
    return next((parts for limit, parts in _PARTS if share <= limit), _MOST_PARTS)
