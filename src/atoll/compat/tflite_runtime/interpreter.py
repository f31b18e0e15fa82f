"""The module `tflite_runtime.interpreter`: LiteRT's, with an Edge TPU delegate that is Atoll's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_edge_litert import interpreter as litert
from ai_edge_litert.interpreter import OpResolverType, SignatureRunner

from atoll.compat.handles import remember, run
from atoll.compat.libraries import Opened, known_library
from atoll.compat.wording import as_it_was
from atoll.errors import DeviceError, ModelError
from atoll.runtime.litert import KERNELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atoll.compat.libraries import Library
    from atoll.runtime.litert import Delegate as OwnDelegate

__all__ = [
    "Delegate",
    "Interpreter",
    "InterpreterWithCustomOps",
    "OpResolverType",
    "SignatureRunner",
    "load_delegate",
]


class Delegate(litert.Delegate):  # type: ignore[misc]  # LiteRT is untyped
    """A delegate library, loaded.

    Args:
        library: Its name. libedgetpu, by any of its names, is not loaded here: Atoll runs the
            model's compiled operators, on the chip or in software.
        options: The library's options, such as {"device": "usb:0"}.

    Raises:
        ValueError: There is no such device. A library that is loaded may give no reason.
        OSError: There is no such library.
    """

    def __init__(self, library: str, options: Mapping[str, object] | None = None) -> None:
        # LiteRT's own __del__ looks at it, also where loading fails.
        self._library = None
        self._name = library
        self._known: Library | None = known_library(library, options or {})
        if self._known is None:
            super().__init__(library, options)

    @classmethod
    def _standing_for(cls, name: str, known: Library) -> Delegate:
        """A delegate that was not loaded by its name.

        Args:
            name: What to call it in a message.
            known: What it does.
        """
        made = cls.__new__(cls)
        made._library, made._name, made._known = None, name, known
        return made

    def _get_native_delegate_pointer(self) -> int:
        if self._known is not None:
            raise RuntimeError(
                f"The delegate of {self._name} is Atoll's: pass it to the Interpreter of "
                "tflite_runtime.interpreter."
            )
        pointer: int = super()._get_native_delegate_pointer()
        return pointer


def load_delegate(library: str, options: Mapping[str, object] | None = None) -> Delegate:
    """Loads a delegate library: see `Delegate`."""
    try:
        return Delegate(library, options)
    except ValueError as error:
        raise ValueError(f"Failed to load delegate from {library}\n{error}") from None


class Interpreter(litert.Interpreter):  # type: ignore[misc]  # LiteRT is untyped
    """A model, as in `tflite_runtime`: see LiteRT's own documentation.

    What is new: delegates of libedgetpu are Atoll's; and where XNNPACK, which `tflite_runtime` did
    not use, gives an operator up, LiteRT's own kernels run the model.

    Args:
        model_path: A .tflite file.
        model_content: Or its content.
        experimental_delegates: What `load_delegate` gave.
        num_threads: CPU threads.
        experimental_op_resolver_type: Which kernels.
        experimental_preserve_all_tensors: Whether what is between operators can be read.
        experimental_disable_delegate_clustering: Whether operators keep their order.
        **newer: What later versions of LiteRT take.

    Raises:
        ValueError: There is no such file, it is no model, or the Edge TPU cannot be opened.
        RuntimeError: A delegate cannot run the model.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | None = None,
        experimental_delegates: Sequence[Any] | None = None,
        num_threads: int | None = None,
        experimental_op_resolver_type: OpResolverType = OpResolverType.AUTO,
        experimental_preserve_all_tensors: bool = False,
        experimental_disable_delegate_clustering: bool = False,
        **newer: Any,
    ) -> None:
        self._arguments = {
            "model_path": model_path,
            "model_content": model_content,
            "num_threads": num_threads,
            "experimental_preserve_all_tensors": experimental_preserve_all_tensors,
            "experimental_disable_delegate_clustering": experimental_disable_delegate_clustering,
            **newer,
        }
        self._given = list(experimental_delegates or ())
        self._own: list[OwnDelegate] = []
        self._interpreter: Any = None
        self._resizes: dict[int, tuple[Sequence[int], bool]] = {}
        usual = experimental_op_resolver_type in (OpResolverType.AUTO, OpResolverType.BUILTIN)
        # Which kernels are still to be tried.
        self._left = (
            [OpResolverType[name] for name in KERNELS] if usual else [experimental_op_resolver_type]
        )
        self._open()

    def allocate_tensors(self) -> None:
        """As in LiteRT, with other kernels where the usual ones give the model up."""
        self._ensure_safe()
        try:
            self._interpreter.AllocateTensors()
        except RuntimeError as error:
            if not self._left:
                raise self._explained(error) from None
            self._reopen()
            self.allocate_tensors()

    def resize_tensor_input(
        self, input_index: int, tensor_size: Sequence[int], strict: bool = False
    ) -> None:
        """As in LiteRT."""
        super().resize_tensor_input(input_index, tensor_size, strict)
        self._resizes[input_index] = (tensor_size, strict)

    def invoke(self) -> None:
        """As in LiteRT. Where a delegate failed, the error tells why."""
        self._ensure_safe()
        run(self)

    def _explained(self, error: Exception) -> Exception:
        """The error to raise for one of LiteRT's: with a delegate's reason, where there is one."""
        reasons = (delegate.failure() for delegate in self._own)
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is None:
            return error
        explained = RuntimeError(str(reason))
        explained.__cause__ = reason
        return explained

    def _native_handle(self) -> int:
        handle: int = super()._native_handle()
        remember(handle, self)
        return handle

    def _reopen(self) -> None:
        """Opens the model with the next kernels, its inputs as they were resized."""
        self._open()
        for index, (size, strict) in self._resizes.items():
            super().resize_tensor_input(index, size, strict)

    def _open(self) -> None:
        """Opens the model with the first of the kernels that are left."""
        kernels = self._left.pop(0)
        others = [each for each in self._given if _known(each) is None]
        # What an interpreter calls must be there until after it.
        self._interpreter = None
        refusal: Exception | None = None
        try:
            self._own = self._replaced(kernels.name)
        except ModelError as error:
            self._own, refusal = [], RuntimeError(str(error))
        try:
            super().__init__(
                **self._arguments,
                experimental_delegates=[*self._own, *others],
                experimental_op_resolver_type=kernels,
            )
        except ValueError as error:
            raise as_it_was(error, self._arguments) from None
        except RuntimeError as error:
            if not self._left:
                raise self._explained(error) from None
            self._open()
        # What LiteRT itself refuses, it has refused by now.
        if refusal is not None:
            raise refusal

    def _replaced(self, kernels: str) -> list[OwnDelegate]:
        """What LiteRT is given in place of the libraries that are known."""
        known = [each for each in self._given if _known(each) is not None]
        path, content = self._arguments["model_path"], self._arguments["model_content"]
        if not known or bool(path) == bool(content):
            return []
        try:
            content = content or Path(path).read_bytes()
        except OSError:
            return []
        made: list[OwnDelegate] = []
        for delegate in known:
            source = os.fspath(path) if path else None
            opened = Opened(content, source, self._arguments["num_threads"], kernels)
            try:
                made += delegate._known.delegates(opened)
            except DeviceError as error:
                raise ValueError(
                    f"Failed to load delegate from {delegate._name}\n{error}"
                ) from error
        return made


class InterpreterWithCustomOps(Interpreter):
    """An interpreter with further operators: names or functions that register them in C++."""

    def __init__(self, custom_op_registerers: Sequence[Any] | None = None, **kwargs: Any) -> None:
        # LiteRT's Interpreter looks at it.
        self._custom_op_registerers = custom_op_registerers or []
        super().__init__(**kwargs)


def _known(delegate: object) -> Library | None:
    return delegate._known if isinstance(delegate, Delegate) else None
