"""The names of edgetpu 2.14, in both spellings."""

from __future__ import annotations

from atoll.compat.names import Rows, absent, differs, same

_DETECT = (
    "(self, img, threshold=0.1, top_k=3, keep_aspect_ratio=False, relative_coord=True, resample=0)"
)
_CLASSIFY = "(self, img, threshold=0.1, top_k=3, resample=0)"
_INPUT = "(self, input_tensor, threshold={}, top_k=3)"
_ENGINE = (
    "signed 8-bit inputs and outputs work too. What is not compiled runs on the processor, as it "
    "did; in software the Edge TPUs are simulated ones"
)
_OWN = "the row is the caller's own: the next call does not change it"

ROWS: Rows = {
    "edgetpu": (
        same("__version__", note='"2.14.0", the version of the interface'),
        differs("expected", "", "RuntimeVersion(14)"),
        differs("installed", "", "asked for when it is read; no warning of other versions"),
    ),
    "edgetpu.basic.basic_engine": (
        differs("BasicEngine", "(model_path, device_path=None)", _ENGINE),
        differs("BasicEngine.run_inference", "(self, input, size=None)", _OWN),
        same("BasicEngine.get_input_tensor_shape", "(self)"),
        same("BasicEngine.get_all_output_tensors_sizes", "(self)"),
        same("BasicEngine.get_num_of_output_tensors", "(self)"),
        same("BasicEngine.get_output_tensor_size", "(self, index)"),
        same("BasicEngine.total_output_array_size", "(self)"),
        same("BasicEngine.get_inference_time", "(self)"),
        same("BasicEngine.model_path", "(self)"),
        same("BasicEngine.device_path", "(self)"),
        same("BasicEngine.required_input_array_size", "(self)"),
        same("BasicEngine.get_raw_output", "(self)"),
        same("BasicEngine.RunInference", "(self, input)"),
    ),
    "edgetpu.basic.edgetpu_utils": (
        differs(
            "ListEdgeTpuPaths",
            "(state)",
            "in software four, whose paths begin with /simulated (--count says how many)",
        ),
        differs("GetRuntimeVersion", "()", "in software it names Atoll, and RuntimeVersion(14)"),
        differs("SUPPORTED_RUNTIME_VERSION", "", "RuntimeVersion(14), without a build"),
        same("EDGE_TPU_STATE_ASSIGNED"),
        same("EDGE_TPU_STATE_UNASSIGNED"),
        same("EDGE_TPU_STATE_NONE"),
    ),
    "edgetpu.classification.engine": (
        same("BasicEngine", "(model_path, device_path=None)"),
        same("ClassificationEngine", "(model_path, device_path=None)"),
        same("ClassificationEngine.classify_with_image", _CLASSIFY),
        same("ClassificationEngine.classify_with_input_tensor", _INPUT.format("0.0")),
        same("ClassificationEngine.ClassifyWithImage", _CLASSIFY),
        same("ClassificationEngine.ClassifyWithInputTensor", _INPUT.format("0.0")),
    ),
    "edgetpu.detection.engine": (
        same("BasicEngine", "(model_path, device_path=None)"),
        same("DetectionCandidate", "(label_id, score, x1, y1, x2, y2)"),
        same("DetectionEngine", "(model_path, device_path=None)"),
        same("DetectionEngine.detect_with_image", _DETECT),
        same("DetectionEngine.detect_with_input_tensor", _INPUT.format("0.1")),
        same("DetectionEngine.DetectWithImage", _DETECT),
        same("DetectionEngine.DetectWithInputTensor", _INPUT.format("0.1")),
    ),
    "edgetpu.learn.imprinting.engine": (
        same("ImprintingEngine", "(model_path, keep_classes=False)"),
        same("ImprintingEngine.save_model", "(self, output_path)"),
        same("ImprintingEngine.train", "(self, input, class_id)"),
        same("ImprintingEngine.train_all", "(self, input_data)"),
        same("ImprintingEngine.classify_with_resized_image", "(self, img, threshold=0.1, top_k=3)"),
        same("ImprintingEngine.classify_with_input_tensor", _INPUT.format("0.0")),
        same("ImprintingEngine.SaveModel", "(self, output_path)"),
        same("ImprintingEngine.Train", "(self, input, class_id)"),
        same("ImprintingEngine.TrainAll", "(self, input_data)"),
        same("ImprintingEngine.ClassifyWithResizedImage", "(self, img, threshold=0.1, top_k=3)"),
        differs(
            "ImprintingEngine.ClassifyWithInputTensor",
            _INPUT.format("0.0"),
            "it works: the original's parameter is misspelt (threhsold), and every call failed",
        ),
    ),
    "edgetpu.learn.backprop.ops": (
        same("fc_forward", "(mat_x, mat_w, vec_b)"),
        same("fc_backward", "(dout, cached)"),
        same("softmax_cross_entropy_loss", "(logits, labels)"),
    ),
    "edgetpu.learn.backprop.softmax_regression": (
        same(
            "SoftmaxRegression",
            "(feature_dim=None, num_classes=None, weight_scale=0.01, reg=0.0)",
        ),
        same("SoftmaxRegression.run_inference", "(self, mat_x)"),
        same("SoftmaxRegression.save_as_tflite_model", "(self, in_model_path, out_model_path)"),
        same("SoftmaxRegression.get_accuracy", "(self, mat_x, labels)"),
        same(
            "SoftmaxRegression.train_with_sgd",
            "(self, data, num_iter, learning_rate, batch_size=100, print_every=100)",
        ),
    ),
    "edgetpu.learn.utils": (
        same(
            "AppendFullyConnectedAndSoftmaxLayerToModel",
            "(in_model_path, out_model_path, weights, biases, out_tensor_min, out_tensor_max)",
        ),
    ),
    "edgetpu.utils.dataset_utils": (
        same("read_label_file", "(file_path)"),
        same("ReadLabelFile", "(file_path)"),
    ),
    "edgetpu.utils.image_processing": (
        same("resampling_with_original_ratio", "(img, required_size, sample)"),
        differs(
            "ResamplingWithOriginalRatio",
            "(img, required_size, sample)",
            "it returns what the newer name does; the original returned nothing",
        ),
    ),
    "edgetpu.utils.warning": (
        same("camelcase_to_lowercase", "(name)"),
        same("deprecated", "(func)"),
    ),
    "edgetpu.swig.edgetpu_cpp_wrapper": (
        same("BasicEnginePythonWrapper"),
        same("BasicEnginePythonWrapper.CreateFromFile", "(model_path, device_path='')"),
        same("BasicEnginePythonWrapper.RunInference", "(self, input)"),
        same("BasicEnginePythonWrapper.RunInferenceBytes", "(self, input)"),
        same("BasicEnginePythonWrapper.RunInferenceRaw", "(self, input, size)"),
        same("BasicEnginePythonWrapper.get_input_tensor_shape", "(self)"),
        same("BasicEnginePythonWrapper.get_all_output_tensors_sizes", "(self)"),
        same("BasicEnginePythonWrapper.get_num_of_output_tensors", "(self)"),
        same("BasicEnginePythonWrapper.get_output_tensor_size", "(self, tensor_index)"),
        same("BasicEnginePythonWrapper.required_input_array_size", "(self)"),
        same("BasicEnginePythonWrapper.total_output_array_size", "(self)"),
        same("BasicEnginePythonWrapper.get_raw_output", "(self)"),
        same("BasicEnginePythonWrapper.get_inference_time", "(self)"),
        same("BasicEnginePythonWrapper.model_path", "(self)"),
        same("BasicEnginePythonWrapper.device_path", "(self)"),
        same("ListEdgeTpuPaths", "(state)"),
        same("GetRuntimeVersion", "()"),
        same("kSupportedRuntimeVersion"),
        same("EdgeTpuState_kNone"),
        same("EdgeTpuState_kAssigned"),
        same("EdgeTpuState_kUnassigned"),
        absent("kEdgeTpuCppWrapperVersion", "there is no C++ here"),
        absent(
            "ImprintingEnginePythonWrapper",
            "programs call what it did in edgetpu.learn.imprinting.engine",
        ),
        absent("AppendFullyConnectedAndSoftmaxLayerToModel", "it is in edgetpu.learn.utils"),
    ),
}
