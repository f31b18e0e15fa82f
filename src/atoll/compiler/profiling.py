"""Where the time of a call would go, operator by operator."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.compiler.source import read_source
from atoll.edgetpu.analysis import analyse
from atoll.edgetpu.latency.links import check_link
from atoll.edgetpu.rules import NEWEST_RUNTIME

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.edgetpu.analysis import Analysis
    from atoll.edgetpu.latency.predict import Latency


@dataclass(frozen=True)
class Profile:
    """Where the time of a call would go.

    Attributes:
        path: The model.
        input_bytes: Its size.
        analysis: What would become of it, over every link.
        latency: The prediction that was asked for.
        ms: Milliseconds that the look took.
    """

    path: Path
    input_bytes: int
    analysis: Analysis
    latency: Latency
    ms: float


def profile_model(
    path: Path,
    *,
    link: str = "usb3",
    clock: str = "max",
    min_runtime: int = NEWEST_RUNTIME,
    multiple_subgraphs: bool = False,
) -> Profile:
    """Predicts where the time of a call goes.

    Args:
        path: A TFLite model that is not compiled.
        link: How the chip is connected: a row of `LINKS`.
        clock: The chip's clock, "max" or "std".
        min_runtime: The oldest runtime version that must run the model, 10 to 14.
        multiple_subgraphs: Whether more than one part may be mapped.

    Returns:
        The prediction.

    Raises:
        ModelError: The file is no TFLite model, or damaged.
        CompilerError: It is compiled already.
        UsageError: There is no such link, clock or runtime version.
    """
    check_link(link)
    start = time.perf_counter()
    source = read_source(path)
    analysis = analyse(
        source.model.main,
        min_runtime=min_runtime,
        multiple_subgraphs=multiple_subgraphs,
        clock=clock,
    )
    milliseconds = (time.perf_counter() - start) * 1e3
    return Profile(path, len(source.content), analysis, analysis.latency[link], milliseconds)
