"""What must hold of the transfers that a compiled part announces: rules over a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.edgetpu.package_part import determined, key_of, sent_sizes, transfers
from atoll.edgetpu.package_tables import BaseAddress, Direction, Instructions, Transfer

if TYPE_CHECKING:
    from atoll.edgetpu.package_part import Part
    from atoll.edgetpu.package_tables import Meta


def hints_are_there(part: Part) -> str | None:
    """Each of its programs must say what is transferred."""
    # One that loads parameters of which there are none has its instructions alone.
    without = [
        each.type.name
        for each in part.package.executables
        if each.dma_hints is None or not each.dma_hints.hints
    ]
    return f"nothing for {without[0]}" if without else None


def hints_name_layers(part: Part) -> str | None:
    """A transfer must be of a layer that there is, or of parameters, and lie within it."""
    for program in part.package.executables:
        sizes = sent_sizes(program)
        for hint in transfers(program):
            limit = sizes.get(key_of(hint))
            if hint.meta is not None and _in_a_batch(hint.meta):
                return f"input or output {hint.meta.batch} of a batch"
            if limit is None or hint.offset_in_bytes + hint.size_in_bytes > limit:
                of = "nothing known" if limit is None else f"{limit}"
                start = hint.offset_in_bytes
                return f"{hint.size_in_bytes} bytes at {start} of {of} for {key_of(hint)[1]!r}"
    return None


def hints_go_their_way(part: Part) -> str | None:
    """Outputs must go to the host; inputs, parameters and instructions must go to the chip."""
    for program in part.package.executables:
        for hint in program.dma_hints.hints if program.dma_hints else ():
            what = hint.what
            if isinstance(what, Instructions):
                outwards = False
            elif isinstance(what, Transfer) and key_of(what)[0] != BaseAddress.SCRATCH:
                outwards = key_of(what)[0] == BaseAddress.OUTPUT
            else:
                continue  # scratch goes both ways
            if (hint.direction == Direction.OUTFEED) != outwards:
                return f"{hint.direction.name} of {type(what).__name__.lower()}"
    return None


def hints_cover(part: Part) -> str | None:
    """All of every layer, parameter and chunk of instructions must be sent."""
    for program in part.package.executables:
        if not determined(program):
            continue  # the chip asks for the rest
        wanted = sent_sizes(program)
        spans: dict[tuple[BaseAddress, str], list[tuple[int, int]]] = {key: [] for key in wanted}
        for hint in transfers(program):
            start = hint.offset_in_bytes
            spans[key_of(hint)].append((start, start + hint.size_in_bytes))
        for key, size in wanted.items():
            if key[0] == BaseAddress.SCRATCH:
                continue
            covered, sent = _covered(spans[key]), sum(end - start for start, end in spans[key])
            # Inputs may be sent in pieces that overlap; what comes back comes once.
            if covered != size or (key[0] == BaseAddress.OUTPUT and sent != size):
                return f"{sent} of {size} bytes of {key[0].name.lower()} {key[1]!r}"
        chunks = {
            hint.what.chunk
            for hint in (program.dma_hints.hints if program.dma_hints else ())
            if isinstance(hint.what, Instructions)
        }
        if chunks != {*range(len(program.chunks))}:
            return f"{len(chunks)} of {len(program.chunks)} chunks of instructions"
    return None


def fields_name_layers(part: Part) -> str | None:
    """An address in the instructions must be of a layer that there is."""
    for program in part.package.executables:
        inputs = {layer.name for layer in program.input_layers}
        outputs = {layer.name for layer in program.output_layers}
        for field in (field for chunk in program.chunks for field in chunk.field_offsets):
            if field.meta is None:
                return "an address of nothing"
            known = {BaseAddress.INPUT: inputs, BaseAddress.OUTPUT: outputs}.get(field.meta.base)
            if known is not None and field.meta.name not in known:
                return f"{field.meta.base.name.lower()} {field.meta.name!r}"
            if _in_a_batch(field.meta):
                return f"an address of input or output {field.meta.batch} of a batch"
    return None


def _in_a_batch(meta: Meta) -> bool:
    """Whether something is of another input or output than the first: there is no other."""
    return meta.base in (BaseAddress.INPUT, BaseAddress.OUTPUT) and meta.batch != 0


def _covered(spans: list[tuple[int, int]]) -> int:
    """How many bytes some spans cover together, from 0 on and without a gap."""
    end = 0
    for first, last in sorted(spans):
        if first > end:
            break
        end = max(end, last)
    return end
