"""LiteRT's interpreter, opened with care: its errors become ours, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from atoll.errors import AtollError, ModelError
from atoll.runtime.session import Holding
from atoll.runtime.tensor_info import info_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

# What LiteRT raises for a file or a graph that it cannot take.
LITERT_ERRORS = (RuntimeError, ValueError, TypeError)

# LiteRT's names for sets of kernels, tried in this order. XNNPACK, which the first has, may claim
# an operator and give it up when it is made ready (a RESIZE_BILINEAR of old files does that);
# LiteRT's own kernels run it.
KERNELS = ("AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES")


class Delegate(Protocol):
    """What LiteRT hands some of a model's operators to."""

    def begin(self) -> None:
        """A call begins."""
        ...

    def finished(self) -> bool:
        """Whether all that it runs has run since the call began."""
        ...

    def failure(self) -> AtollError | None:
        """The error to raise for what last went wrong in it; None where nothing did."""
        ...

    def refusal(self, source: object, said: str) -> AtollError | None:
        """The error to raise where LiteRT failed and said this; None where it was not this one."""
        ...

    def _get_native_delegate_pointer(self) -> int:
        """LiteRT's Interpreter asks its delegates for this."""
        ...


class LitertSession:
    """A model that LiteRT has loaded.

    Args:
        litert: LiteRT's Interpreter, its tensors allocated.
        source: What to call the model in a message.
        delegates: What it calls. They outlive the interpreter in here.

    Attributes:
        litert: The same.
        inputs: What it takes, in order.
        outputs: What it gives, in order.
        holding: What it holds beside the model.
    """

    def __init__(self, litert: Any, source: object, delegates: Sequence[Delegate] = ()) -> None:
        self.litert = litert
        self.delegates = list(delegates)
        self.holding = Holding()
        takes, gives = litert.get_input_details(), litert.get_output_details()
        self.inputs = [info_of(detail) for detail in takes]
        self.outputs = [info_of(detail) for detail in gives]
        self._source = source
        self._input_indices = [int(detail["index"]) for detail in takes]
        self._output_indices = [int(detail["index"]) for detail in gives]

    def invoke(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Runs the model once: see `atoll.runtime.session`."""
        litert = self.litert
        try:
            for index, array in zip(self._input_indices, arrays, strict=True):
                litert.set_tensor(index, array)
            invoke_all(litert.invoke, self.delegates)
            return [litert.get_tensor(index) for index in self._output_indices]
        except LITERT_ERRORS as error:
            raise failure_of(self.delegates, self._source, error) from None

    @property
    def notes(self) -> list[str]:
        """What a user should know of how it runs, a sentence each."""
        return self.holding.notes

    def close(self) -> None:
        """Gives its memory back."""
        self.litert = None  # before its delegates, which it calls when it ends
        self.delegates = []
        self.holding.close()


def open_litert(
    content: bytes,
    source: object,
    *,
    threads: int | None = None,
    delegates: Callable[[str], list[Delegate]] | None = None,
    kernels: Sequence[str] = KERNELS,
) -> LitertSession:
    """Opens a model with LiteRT, ready to be called.

    Args:
        content: A .tflite file.
        source: What to call it in a message.
        threads: CPU threads; None for LiteRT's own choice.
        delegates: Makes the delegates, given the set of kernels that is tried.
        kernels: Names in `KERNELS`, tried in this order.

    Returns:
        The model, loaded.

    Raises:
        ModelError: LiteRT cannot run the model.
        DeviceError: A delegate failed.
    """
    failure: AtollError | None = None
    for name in kernels:
        made = [] if delegates is None else delegates(name)
        try:
            return LitertSession(_open(content, threads, made, name), source, made)
        except LITERT_ERRORS as error:
            failure = failure_of(made, source, error)
    assert failure is not None
    raise failure


def invoke_all(invoke: Callable[[], object], delegates: Sequence[Delegate]) -> None:
    """Has LiteRT run a model, and makes sure that it did.

    Args:
        invoke: Runs it.
        delegates: What it calls.

    Raises:
        KeyboardInterrupt: The program was interrupted where LiteRT does not learn of it.
    """
    for delegate in delegates:
        delegate.begin()
    invoke()
    if not all(delegate.finished() for delegate in delegates):
        raise KeyboardInterrupt


def check_litert(content: bytes, source: object) -> None:
    """Lets LiteRT verify a file, without making it ready.

    Raises:
        ModelError: LiteRT refuses it.
    """
    try:
        _load(content, 1, [], KERNELS[0])
    except LITERT_ERRORS as error:
        raise failure_of([], source, error) from None


def failure_of(delegates: Sequence[Delegate], source: object, error: Exception) -> AtollError:
    """The error to raise for one of LiteRT's: a delegate's own reason, where there is one.

    Args:
        delegates: The delegates in use.
        source: What to call the model.
        error: What LiteRT raised.

    Returns:
        The error, caused by what went wrong first.
    """
    failures = (delegate.failure() for delegate in delegates)
    failure = next((each for each in failures if each is not None), None)
    if failure is None:
        refusals = (delegate.refusal(source, str(error)) for delegate in delegates)
        failure = next((each for each in refusals if each is not None), None)
    if failure is None:
        failure = ModelError(
            source,
            "LiteRT cannot run the model",
            received=" ".join(str(error).split()).rstrip(".") or "no reason",
            fix="Check that its operators are LiteRT's own, and that it fits into memory",
        )
        failure.__cause__ = error
    return failure


def _open(content: bytes, threads: int | None, delegates: Sequence[Delegate], kernels: str) -> Any:
    interpreter = _load(content, threads, delegates, kernels)
    interpreter.allocate_tensors()
    return interpreter


def _load(content: bytes, threads: int | None, delegates: Sequence[Delegate], kernels: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    return Interpreter(
        model_content=content,
        num_threads=threads,
        experimental_delegates=list(delegates) or None,
        experimental_op_resolver_type=OpResolverType[kernels],
    )
