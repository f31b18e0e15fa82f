"""The names of tflite_runtime 2.14.0."""

from __future__ import annotations

from atoll.compat.names import Rows, absent, differs, same

_NATIVE = "LiteRT has a native module of its own, which programs do not call"

ROWS: Rows = {
    "tflite_runtime": (
        same("__version__", note='"2.14.0", the version of the interface'),
        same("__git_version__"),
        absent("_pywrap_tensorflow_interpreter_wrapper", _NATIVE),
        absent("metrics_interface", "TensorFlow's own counters"),
        absent("metrics_portable", "TensorFlow's own counters"),
    ),
    "tflite_runtime.interpreter": (
        differs(
            "load_delegate",
            "(library, options=None)",
            "libedgetpu, by any of its names, is not loaded: Atoll runs what is compiled, on the "
            "chip or in software. Of its options device counts. posenet_decoder.so is not loaded "
            "either. Where a device is missing, the error tells why behind the original's words",
        ),
        differs("Delegate", "(library, options=None)", "as load_delegate"),
        differs(
            "Interpreter",
            "(model_path=None, model_content=None, experimental_delegates=None, num_threads=None, "
            "experimental_op_resolver_type=OpResolverType.AUTO, "
            "experimental_preserve_all_tensors=False, "
            "experimental_disable_delegate_clustering=False)",
            "LiteRT's: kernels of today, whose 8-bit outputs differ by a few steps here and "
            "there, and further options. XNNPACK is used, and left where it gives a model up. A "
            "delegate of Atoll's belongs to this class alone, not to LiteRT's own",
        ),
        same("Interpreter.allocate_tensors", "(self)"),
        same("Interpreter.get_input_details", "(self)"),
        same("Interpreter.get_output_details", "(self)"),
        same("Interpreter.get_signature_list", "(self)"),
        same("Interpreter.get_signature_runner", "(self, signature_key=None)"),
        same("Interpreter.get_tensor", "(self, tensor_index, subgraph_index=0)"),
        same("Interpreter.get_tensor_details", "(self)"),
        differs(
            "Interpreter.invoke", "(self)", "where the device failed, the RuntimeError tells why"
        ),
        same("Interpreter.reset_all_variables", "(self)"),
        same("Interpreter.resize_tensor_input", "(self, input_index, tensor_size, strict=False)"),
        same("Interpreter.set_tensor", "(self, tensor_index, value)"),
        same("Interpreter.tensor", "(self, tensor_index)"),
        same("Interpreter._get_full_signature_list", "(self)"),
        same("Interpreter._get_ops_details", "(self)"),
        differs(
            "Interpreter._native_handle",
            "(self)",
            "a number for pycoral's functions; C++ extensions built for TensorFlow cannot use it",
        ),
        differs(
            "InterpreterWithCustomOps",
            "(custom_op_registerers=None, **kwargs)",
            "what registers operators in C++ must be built for LiteRT",
        ),
        same("SignatureRunner", "(interpreter=None, signature_key=None)"),
        same("SignatureRunner.__call__", "(self, **kwargs)"),
        same("SignatureRunner.get_input_details", "(self)"),
        same("SignatureRunner.get_output_details", "(self)"),
        same("OpResolverType"),
        same("OpResolverType.AUTO"),
        same("OpResolverType.BUILTIN"),
        same("OpResolverType.BUILTIN_REF"),
        same("OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES"),
    ),
}
