"""How long a run takes at the predicted speed: a prediction, never a measurement."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from atoll.edgetpu.latency.links import LINKS
from atoll.stick.wire import Speed

if TYPE_CHECKING:
    from atoll.stick.known import KnownPart
    from atoll.stick.program import Program

_LINK_NAMES = {Speed.SUPER: "usb3", Speed.HIGH: "usb2"}


class Pace:
    """Predicts how long programs take, each once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[int, str, str], float] = {}

    def __call__(
        self, part: KnownPart, program: Program, speed: Speed, clock_divider: int
    ) -> float:
        """The predicted time of a program.

        Args:
            part: The compiled part that it belongs to.
            program: The program.
            speed: Of the link.
            clock_divider: The power of two that the driver divides the chip's clock by. The model
                knows two clocks: 500 MHz, and 250 MHz, which is taken for anything slower too.

        Returns:
            Seconds.
        """
        link = _LINK_NAMES[speed]
        if program.is_caching:
            return LINKS[link].send_ms(program.parameters.size) / 1e3
        key = (id(part), link, "std" if clock_divider else "max")
        with self._lock:
            if key not in self._known:
                self._known[key] = part.predicted_ms(link, key[2]) / 1e3
            return self._known[key]
