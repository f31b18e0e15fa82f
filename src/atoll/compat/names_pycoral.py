"""The names of pycoral 2.0."""

from __future__ import annotations

from atoll.compat.names import Rows, absent, differs, same

_MODEL_BYTES = (
    "in software, bytes of a compiled model find their twin where the program has read the "
    "model's file"
)
_WRAPPED = "programs call what it did in {}"
_PIPELINE = "pycoral.pipeline.pipelined_model_runner"
_PUSHED = (
    "version 1's lists are taken too, and popped as lists. An input of another size fails with the "
    "sizes told"
)

ROWS: Rows = {
    "pycoral": (same("__version__", note='"2.0.0", the version of the interface'),),
    "pycoral.adapters.classify": (
        same("Class", "(id, score)"),
        same("num_classes", "(interpreter)"),
        same("get_scores", "(interpreter)"),
        same("get_classes_from_scores", "(scores, top_k=inf, score_threshold=-inf)"),
        same("get_classes", "(interpreter, top_k=inf, score_threshold=-inf)"),
    ),
    "pycoral.adapters.common": (
        same("output_tensor", "(interpreter, i)"),
        same("input_details", "(interpreter, key)"),
        same("input_size", "(interpreter)"),
        same("input_tensor", "(interpreter)"),
        same("set_input", "(interpreter, data)"),
        same("set_resized_input", "(interpreter, size, resize)"),
    ),
    "pycoral.adapters.detect": (
        same("Object", "(id, score, bbox)"),
        same("BBox", "(xmin, ymin, xmax, ymax)"),
        same("BBox.width"),
        same("BBox.height"),
        same("BBox.area"),
        same("BBox.valid"),
        same("BBox.scale", "(self, sx, sy)"),
        same("BBox.translate", "(self, dx, dy)"),
        same("BBox.map", "(self, f)"),
        same("BBox.intersect", "(a, b)"),
        same("BBox.union", "(a, b)"),
        same("BBox.iou", "(a, b)"),
        same(
            "get_objects",
            "(interpreter, score_threshold=-inf, image_scale=(1.0, 1.0))",
            "the orders of outputs of TensorFlow 1 and 2",
        ),
    ),
    "pycoral.adapters.segment": (same("get_output", "(interpreter)"),),
    "pycoral.utils.dataset": (same("read_label_file", "(file_path)"),),
    "pycoral.utils.edgetpu": (
        differs("load_edgetpu_delegate", "(options=None)", "as tflite_runtime's load_delegate"),
        differs(
            "make_interpreter",
            "(model_path_or_content, device=None, delegate=None)",
            f"simulated Edge TPUs answer to usb and to pci; {_MODEL_BYTES}",
        ),
        differs(
            "run_inference",
            "(interpreter, input_data)",
            "the input is copied. An array with gaps is taken in order, and one with too few bytes "
            "for the input is refused; both read past their end",
        ),
        differs(
            "list_edge_tpus",
            "()",
            "in software four, whose paths begin with /simulated (--count says how many)",
        ),
        differs("get_runtime_version", "()", "in software it names Atoll, and RuntimeVersion(14)"),
        differs(
            "set_verbosity",
            "(verbosity)",
            "nothing more is told: what there is to tell is in the errors",
        ),
        differs("supports_dmabuf", "(interpreter_handle)", "False always: frames are copied"),
        same("invoke_with_bytes", "(interpreter_handle, input_data)"),
        differs(
            "invoke_with_dmabuffer",
            "(interpreter_handle, dma_fd, size)",
            "the frame is copied from what the descriptor maps",
        ),
        same("invoke_with_membuffer", "(interpreter_handle, buffer, size)"),
        same("_EDGETPU_SHARED_LIB"),
    ),
    _PIPELINE: (
        same("PipelinedModelRunner", "(interpreters)"),
        differs("PipelinedModelRunner.push", "(self, input_tensors)", _PUSHED),
        differs(
            "PipelinedModelRunner.pop",
            "(self)",
            "outputs of more than 8 bits work too. At its end a pipeline says nothing but how many "
            "results nobody took",
        ),
        same("PipelinedModelRunner.set_input_queue_size", "(self, size)"),
        same("PipelinedModelRunner.set_output_queue_size", "(self, size)"),
        same("PipelinedModelRunner.interpreters", "(self)"),
    ),
    "pycoral.learn.imprinting.engine": (
        same("ImprintingEngine", "(model_path, keep_classes=False)"),
        same("ImprintingEngine.embedding_dim"),
        same("ImprintingEngine.num_classes"),
        same("ImprintingEngine.serialize_extractor_model", "(self)"),
        same("ImprintingEngine.serialize_model", "(self)"),
        same("ImprintingEngine.train", "(self, embedding, class_id)"),
    ),
    "pycoral.learn.backprop.softmax_regression": (
        same(
            "SoftmaxRegression",
            "(feature_dim=None, num_classes=None, weight_scale=0.01, reg=0.0)",
        ),
        same("SoftmaxRegression.serialize_model", "(self, in_model_path)"),
        same("SoftmaxRegression.get_accuracy", "(self, mat_x, labels)"),
        same(
            "SoftmaxRegression.train_with_sgd",
            "(self, data, num_iter, learning_rate, batch_size=100, print_every=100)",
        ),
    ),
    "pycoral.pybind._pywrap_coral": (
        same("GetRuntimeVersion", "()", "as get_runtime_version"),
        same("InvokeWithBytes", "(interpreter_handle, input_data)"),
        same("InvokeWithDmaBuffer", "(interpreter_handle, dma_fd, size)"),
        same("InvokeWithMemBuffer", "(interpreter_handle, buffer, size)"),
        same("ListEdgeTpus", "()", "as list_edge_tpus"),
        same("SetVerbosity", "(verbosity)", "as set_verbosity"),
        same("SupportsDmabuf", "(interpreter_handle)", "as supports_dmabuf"),
        absent("ImprintingEnginePythonWrapper", _WRAPPED.format("pycoral.learn.imprinting.engine")),
        absent("PipelinedModelRunnerWrapper", _WRAPPED.format(_PIPELINE)),
        *(
            absent(name, _WRAPPED.format("pycoral.learn.backprop.softmax_regression"))
            for name in (
                "SoftmaxRegressionModelWrapper",
                "TrainConfigWrapper",
                "TrainingDataWrapper",
            )
        ),
    ),
}
