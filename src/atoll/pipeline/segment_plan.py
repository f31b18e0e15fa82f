"""Which tensors go from segment to segment, by name: found once, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from atoll.runtime.tensor_info import TensorInfo


@dataclass(frozen=True)
class Faces:
    """What one segment takes and gives.

    Attributes:
        name: What to call it in a message.
        inputs: What it takes, in order.
        outputs: What it gives, in order.
    """

    name: object
    inputs: Sequence[TensorInfo]
    outputs: Sequence[TensorInfo]


@dataclass(frozen=True)
class Plan:
    """How tensors travel.

    Attributes:
        inputs: What the whole takes: what segments need and no earlier one gives.
        outputs: What the last segment gives.
        kept: For each segment the names that are needed behind it: all others are dropped.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    kept: tuple[frozenset[str], ...]


def plan(segments: Sequence[Faces]) -> Plan:
    """Finds out where each segment has its inputs from.

    Args:
        segments: In the order in which they run.

    Returns:
        The plan.

    Raises:
        ModelError: They do not belong together, or are in another order.
    """
    inputs: dict[str, TensorInfo] = {}
    given: dict[str, tuple[TensorInfo, object]] = {}
    for number, segment in enumerate(segments):
        _check_names(segment)
        for info in segment.inputs:
            if info.name in given:
                _check_same(info, segment, *given[info.name])
                continue
            _check_order(info, segment, segments[number + 1 :])
            inputs[info.name] = info
            given[info.name] = info, segment.name
        given |= {info.name: (info, segment.name) for info in segment.outputs}
    return Plan(tuple(inputs.values()), tuple(segments[-1].outputs), tuple(_kept(segments)))


def _kept(segments: Sequence[Faces]) -> list[frozenset[str]]:
    needed = _names(segments[-1].outputs)
    kept = [needed]
    for segment in reversed(segments[1:]):
        # What a segment gives anew need not reach it.
        needed = (needed - _names(segment.outputs)) | _names(segment.inputs)
        kept.append(needed)
    return kept[::-1]


def _names(infos: Iterable[TensorInfo]) -> frozenset[str]:
    return frozenset(info.name for info in infos)


def _check_names(segment: Faces) -> None:
    for infos in (segment.inputs, segment.outputs):
        names = [info.name for info in infos]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ModelError(
                segment.name,
                "segments hand tensors on by name, so that each needs one of its own",
                received=f"two named {twice!r}",
                fix="Cut the model again",
            )


def _check_order(info: TensorInfo, segment: Faces, later: Sequence[Faces]) -> None:
    for other in later:
        if info.name in _names(other.outputs) - _names(other.inputs):
            raise ModelError(
                segment.name,
                "a segment takes what earlier ones give",
                received=f"its input {info.name!r}, which {other.name} gives later",
                fix="Name the segments in the order in which they run",
            )


def _check_same(info: TensorInfo, segment: Faces, earlier: TensorInfo, giver: object) -> None:
    if info != earlier:
        raise ModelError(
            segment.name,
            f"its input {info.name!r} must be what {giver} gives",
            received=f"{_form(info)} and {_form(earlier)}",
            fix="Name segments of one model",
        )


def _form(info: TensorInfo) -> str:
    scale = f" with the scale {info.scale:g} from {info.zero_point}" if info.scale else ""
    return f"{info.dtype} {list(info.shape)}{scale}"
