"""Changes a model so that more of it maps: a line a step."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from atoll.edgetpu.partition import partition
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.errors import UsageError
from atoll.legalize.compare import Comparison, compare
from atoll.legalize.draft import Draft
from atoll.legalize.engine import Applied, Engine, Refused
from atoll.legalize.faces import change_inputs, change_outputs, check_face
from atoll.legalize.table import PASSES, REWRITES
from atoll.legalize.verify import Verifier
from atoll.tflite.edit import with_main

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from atoll.edgetpu.verdict import Verdict
    from atoll.legalize.faces import Changed, Face
    from atoll.tflite.graph import Model

_FACE = "Inputs and outputs have the type that was asked for."


@dataclass(frozen=True)
class Legalized:
    """A model that was changed.

    Attributes:
        model: The new model.
        changes: What was changed, in order.
        refused: Changes that would have helped and were not made, as they did not keep their
            promise.
        before: Where each operator would run, before.
        after: The same of the new model.
        comparison: How far the outputs moved, before they got the types that were asked for; None
            where nothing was run.
    """

    model: Model
    changes: list[Applied]
    refused: list[Refused]
    before: list[Verdict]
    after: list[Verdict]
    comparison: Comparison | None = None


def legalize(
    model: Model,
    *,
    min_runtime: int = NEWEST_RUNTIME,
    input_type: Face | None = None,
    output_type: Face | None = None,
    skip: Sequence[str] = (),
    verify: bool = True,
    samples: Sequence[Sequence[np.ndarray]] | None = None,
    seed: int = 0,
) -> Legalized:
    """Changes a model so that more of it maps to the Edge TPU.

    Args:
        model: A full-integer TFLite model; it stays as it is.
        min_runtime: The oldest runtime version that must run the model, 10 to 14.
        input_type: What the model shall take; None leaves it.
        output_type: What the model shall give; None leaves it.
        skip: Names of rewrites that are not to be made.
        verify: Whether each change is checked in the interpreter before it is made, and the whole
            model before and after.
        samples: Typical inputs, as the model itself takes them, an array an input; None to compare
            the whole model on random ones.
        seed: Of all random numbers.

    Returns:
        The new model, with what was changed and how far its outputs moved.

    Raises:
        UsageError: There is no such rewrite, type or runtime version; or the samples do not fit.
    """
    check_face("input_type", input_type)
    check_face("output_type", output_type)
    _check_names(skip)
    before = partition(model.main, min_runtime=min_runtime)
    verifier = Verifier(seed) if verify else None
    draft, changes, refused = _changed(model, min_runtime, skip, verifier)
    found = None
    if verify:
        found = compare(model, with_main(model, draft.snapshot()), samples, seed)
    moved = _Moved()
    if input_type is not None:
        moved.take("input-type", change_inputs(draft, input_type), "inputs")
    if output_type is not None:
        moved.take("output-type", change_outputs(draft, output_type), "outputs")
    changed = with_main(moved.signed(model), draft.snapshot())
    return Legalized(
        model=changed,
        changes=changes + moved.applied,
        refused=refused + moved.refused,
        before=before,
        after=partition(changed.main, min_runtime=min_runtime),
        comparison=found,
    )


def _changed(
    model: Model, min_runtime: int, skip: Sequence[str], verifier: Verifier | None
) -> tuple[Draft, list[Applied], list[Refused]]:
    """The model's graph with all changes made that bring operators onto the chip."""
    rows = [row for row in REWRITES if row.name not in skip]
    spared: set[int] = set()
    while True:
        draft = Draft(model.main, min_runtime)
        applied: list[Applied] = []
        for row in PASSES:
            if row.name not in skip:
                applied += [Applied(row.name, row.what, w, row.exactness) for w in row.apply(draft)]
        engine = Engine(draft, rows, verifier, spared)
        engine.run()
        in_vain = _in_vain(engine) - spared
        if not in_vain:
            return draft, applied + engine.applied, engine.refused
        spared |= in_vain


def _in_vain(engine: Engine) -> set[int]:
    """The model's own operators that were changed, and stay on the CPU all the same.

    They stand behind one that stays there whatever is done.
    """
    draft = engine.draft
    verdicts = partition(draft.snapshot(), min_runtime=draft.min_runtime)
    targets = dict(zip(draft.ordered(), (v.target for v in verdicts), strict=True))
    on_cpu: set[int] = set()
    on_tpu: set[int] = set()
    for number, origins in engine.origins.items():
        if number in targets:
            (on_tpu if targets[number] == "tpu" else on_cpu).update(origins)
    return on_cpu - on_tpu


@dataclass
class _Moved:
    """What became of the faces, and of the signatures that name them."""

    applied: list[Applied] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    inputs: dict[int, int] = field(default_factory=dict)
    outputs: dict[int, int] = field(default_factory=dict)

    def take(self, name: str, changed: Changed, side: str) -> None:
        self.applied += [Applied(name, _FACE, where, "identical") for where in changed.names]
        reason = "No 8-bit tensor lies behind it."
        self.refused += [Refused(name, where, reason) for where in changed.left]
        setattr(self, side, changed.moved)

    def signed(self, model: Model) -> Model:
        """The model with signatures that name the new tensors."""
        signatures = copy.deepcopy(model.signatures)
        for signature in signatures:
            if signature.subgraphIndex != 0:
                continue
            for entries, moved in (
                (signature.inputs, self.inputs),
                (signature.outputs, self.outputs),
            ):
                for entry in entries or ():
                    entry.tensorIndex = moved.get(entry.tensorIndex, entry.tensorIndex)
        return replace(model, signatures=signatures)


def _check_names(skip: Sequence[str]) -> None:
    names = [row.name for row in PASSES] + [row.name for row in REWRITES]
    for name in skip:
        if name not in names:
            raise UsageError(
                "skip", f"it must be one of {', '.join(names)}", received=name, fix="Leave it out"
            )
