"""LiteRT's interpreter, opened with care: its errors become ours, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atoll.errors import AtollError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atoll.runtime.delegate import PythonDelegate

# What LiteRT raises for a file or a graph that it cannot take.
LITERT_ERRORS = (RuntimeError, ValueError, TypeError)

# LiteRT's names for sets of kernels, tried in this order. XNNPACK, which the first has, may claim
# an operator and give it up when it is made ready (a RESIZE_BILINEAR of old files does that);
# LiteRT's own kernels run it.
KERNELS = ("AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES")


@dataclass
class Session:
    """A model that LiteRT has loaded.

    Attributes:
        litert: LiteRT's Interpreter, its tensors allocated.
        delegate: What it calls, if anything. It must outlive the interpreter.
    """

    litert: Any
    delegate: PythonDelegate | None = None


def open_litert(
    content: bytes,
    source: object,
    *,
    threads: int | None = None,
    delegate: Callable[[str], PythonDelegate] | None = None,
    kernels: Sequence[str] = KERNELS,
) -> Session:
    """Opens a model with LiteRT, ready to be called.

    Args:
        content: A .tflite file.
        source: What to call it in a message.
        threads: CPU threads; None for LiteRT's own choice.
        delegate: Makes a delegate, given the set of kernels that is tried.
        kernels: Names in `KERNELS`, tried in this order.

    Returns:
        The model, loaded.

    Raises:
        ModelError: LiteRT cannot run the model.
        DeviceError: The delegate failed.
    """
    failure: AtollError | None = None
    for name in kernels:
        made = None if delegate is None else delegate(name)
        try:
            return Session(_open(content, threads, made, name), made)
        except LITERT_ERRORS as error:
            failure = failure_of(made, source, error)
    assert failure is not None
    raise failure


def check_litert(content: bytes, source: object) -> None:
    """Lets LiteRT verify a file, without making it ready.

    Raises:
        ModelError: LiteRT refuses it.
    """
    try:
        _load(content, 1, None, KERNELS[0])
    except LITERT_ERRORS as error:
        raise failure_of(None, source, error) from None


def failure_of(delegate: PythonDelegate | None, source: object, error: Exception) -> AtollError:
    """The error to raise for one of LiteRT's: the delegate's own reason, where there is one.

    Args:
        delegate: The delegate in use, if any.
        source: What to call the model.
        error: What LiteRT raised.

    Returns:
        The error, caused by what went wrong first.
    """
    failure = None if delegate is None else delegate.failure()
    if failure is None:
        failure = ModelError(
            source,
            "LiteRT cannot run the model",
            received=" ".join(str(error).split()).rstrip(".") or "no reason",
            fix="Check that its operators are LiteRT's own, and that it fits into memory",
        )
        failure.__cause__ = error
    return failure


def _open(content: bytes, threads: int | None, delegate: Any, kernels: str) -> Any:
    interpreter = _load(content, threads, delegate, kernels)
    interpreter.allocate_tensors()
    return interpreter


def _load(content: bytes, threads: int | None, delegate: Any, kernels: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    return Interpreter(
        model_content=content,
        num_threads=threads,
        experimental_delegates=None if delegate is None else [delegate],
        experimental_op_resolver_type=OpResolverType[kernels],
    )
