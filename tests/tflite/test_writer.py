"""A model that is read and written again must be the same model, to every reader."""

import io
import zipfile
import zlib

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest
from litert_files import contents, model_files, random_inputs, run, runnable, source_files

from atoll.tflite.graph import Model, Operator, Quantization, Subgraph, Tensor
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


def doubling(weights: np.ndarray, **extra) -> Model:
    """float32 [1, n] plus a constant."""
    n = weights.size
    tensors = [
        Tensor("in", "FLOAT32", (1, n)),
        Tensor("w", "FLOAT32", (1, n), data=weights.reshape(1, n)),
        Tensor("out", "FLOAT32", (1, n)),
    ]
    add = Operator("ADD", [0, 1], [2], options=schema.AddOptionsT())
    return Model([Subgraph("main", tensors, [add], [0], [2])], **extra)


def test_every_file_written_again_holds_the_same_by_the_schemas_own_api(shared):
    """Whatever a reader of ours forgot would be missing in a compiled or labelled file."""
    for path in model_files(shared):
        data = path.read_bytes()
        assert contents(write_model(read_model(data))) == contents(data), path.name


def test_written_bytes_do_not_change_when_read_and_written_again(shared):
    """The same model gives the same bytes, or no build could be reproduced."""
    for path in model_files(shared):
        once = write_model(read_model(path))
        assert write_model(read_model(once)) == once, path.name
        assert write_model(read_model(path)) == once, path.name


def test_written_models_give_the_same_outputs_in_litert(shared):
    """A rewritten model must compute what it computed."""
    ran = 0
    for path in source_files(shared):
        try:
            before = runnable(path)
        except pytest.skip.Exception:
            continue
        after = runnable(write_model(read_model(path)))
        arrays = random_inputs(before)
        for one, two in zip(run(before, arrays), run(after, arrays), strict=True):
            assert np.array_equal(one, two, equal_nan=True), path.name
        ran += 1
    assert ran >= 14


def test_constants_lie_at_multiples_of_sixteen_and_equal_ones_are_kept_once(shared):
    """Runtimes map constants in place: out of line they are slow, or crash on ARM."""
    data = write_model(read_model(shared / "models/v13/movenet_single_pose_lightning_ptq.tflite"))
    model = schema.Model.GetRootAs(data, 0)
    base = np.frombuffer(data, np.uint8).ctypes.data
    views = [model.Buffers(i).DataAsNumpy() for i in range(1, model.BuffersLength())]
    assert len(views) > 100
    assert all((view.ctypes.data - base) % 16 == 0 for view in views)
    assert len({view.tobytes() for view in views}) == len(views)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    keys = [(c.BuiltinCode(), c.CustomCode(), c.Version()) for c in codes]
    assert len(set(keys)) == len(keys)


def test_constants_whose_checksums_agree_by_chance_stay_apart():
    """A weight would silently become another one."""
    texts = (b"plumless", b"buckeroo")
    assert len({zlib.crc32(text) for text in texts}) == 1
    tensors = [
        Tensor(text.decode(), "UINT8", (8,), data=np.frombuffer(text, np.uint8)) for text in texts
    ]
    model = read_model(write_model(Model([Subgraph("main", tensors, [], [], [])])))
    assert [tensor.data.tobytes() for tensor in model.main.tensors] == list(texts)


def test_label_files_behind_the_model_stay_readable(shared):
    """The zip's offsets count from the start of the file: they must follow its new length."""
    path = shared / "models/v13/mobilenet_v1_0.25_128_quant.tflite"
    model = read_model(path)
    model.main.tensors[0].name = "a much longer name than the one that the tensor had before" * 9
    data = write_model(model)
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(io.BytesIO(data)) as after:
        assert after.testzip() is None
        assert after.namelist() == before.namelist() == ["imagenet_labels.txt"]
        assert after.read("imagenet_labels.txt") == before.read("imagenet_labels.txt")
        # A reader in C++ adds nothing to these offsets.
        for entry in after.infolist():
            assert data[entry.header_offset : entry.header_offset + 4] == b"PK\x03\x04"
        start = after.start_dir
        assert data[start : start + 4] == b"PK\x01\x02"
    end = data.rindex(b"PK\x05\x06")
    assert int.from_bytes(data[end + 16 : end + 20], "little") == start
    with zipfile.ZipFile(io.BytesIO(model.trailer)) as alone:
        assert alone.testzip() is None


def test_data_behind_the_flatbuffer_run_in_litert_and_read_back():
    """Models above 2 GB keep their constants outside; they must be read like all others."""
    weights = np.arange(1000, dtype=np.float32)
    inside = write_model(doubling(weights))
    outside = write_model(doubling(weights), largest_inside=100)
    table = schema.Model.GetRootAs(outside, 0).Buffers(1)
    assert table.DataLength() == 0
    assert table.Size() == 4000
    assert table.Offset() % 16 == 0
    assert np.array_equal(read_model(outside).main.tensors[1].data, weights.reshape(1, -1))
    assert write_model(read_model(outside)) == inside
    arrays = random_inputs(runnable(inside))
    assert np.array_equal(run(runnable(outside), arrays), run(runnable(inside), arrays))


def test_rare_parts_of_the_format_survive():
    """Sparsity, ranges, block-wise scales, variables, second options, blobs: all are kept."""
    sparsity = schema.SparsityParametersT(
        traversalOrder=np.array([0, 1], np.int32),
        dimMetadata=[
            schema.DimensionMetadataT(format=0, denseSize=2),
            schema.DimensionMetadataT(
                format=1,
                arraySegmentsType=schema.SparseIndexVector.Uint8Vector,
                arraySegments=schema.Uint8VectorT(values=np.array([0, 1, 2], np.uint8)),
                arrayIndicesType=schema.SparseIndexVector.Uint8Vector,
                arrayIndices=schema.Uint8VectorT(values=np.array([0, 1], np.uint8)),
            ),
        ],
    )
    ranges = {"min": np.float32([-1]), "max": np.float32([1])}
    blocks = schema.BlockwiseQuantizationT(scales=0, zeroPoints=-1, blockSize=32)
    tensors = [
        Tensor("scales", "FLOAT16", (2,), data=np.float16([1, 2])),
        Tensor("sparse", "INT8", (2, 4), data=np.uint8([1, 2]), extra={"sparsity": sparsity}),
        Tensor("half bytes", "INT4", (3,), data=np.uint8([0x21, 0x03])),
        Tensor("blocks", "INT4", (2, 32), data=np.zeros(32, np.uint8)),
        Tensor("state", "INT16", (1, 4), is_variable=True, shape_signature=(-1, 4)),
        Tensor("ranged", "UINT8", (), quantization=Quantization(np.float32([1]), np.int64([3]))),
        Tensor("text", "STRING", (1,), data=np.frombuffer(b"\1\0\0\0\x0c\0\0\0\r\0\0\0a", "u1")),
        Tensor("variant", "VARIANT", (), extra={"has_rank": True}),
    ]
    tensors[3].extra["quantization_details"] = blocks
    tensors[5].extra |= ranges
    tensors[7].extra["variant_tensors"] = [
        schema.VariantSubTypeT(shape=np.array([2], np.int32), type=2, hasRank=True)
    ]
    body = schema.StablehloScatterOptionsT(updateComputationSubgraphIndex=0)
    op = Operator("STABLEHLO_SCATTER", [-1, 1], [4], version=7, options=body, intermediates=[5, -1])
    op.extra["mutating_variable_inputs"] = [False, True]
    custom = Operator("CUSTOM", [2], [5], custom_name="mine", custom_options=bytes(range(200)))
    graph = Subgraph("main", tensors, [op, custom], [2], [5], {"debug_metadata_index": 4})
    model = Model(
        [graph],
        description="d",
        metadata={"one": b"1", "two": b""},
        signatures=[
            schema.SignatureDefT([schema.TensorMapT("x", 2)], [schema.TensorMapT("y", 5)], "f", 0)
        ],
        extra={"metadata_buffer": [b"old"]},
    )
    data = write_model(model)
    again = read_model(data)
    assert write_model(again) == data
    wrote = contents(data)
    first, second = wrote["subgraphs"][0]["operators"]
    assert first["builtinOptions2"]["class"] == "StablehloScatterOptionsT"
    assert first["intermediates"] == [5, -1]
    assert first["mutatingVariableInputs"] == [False, True]
    assert first["opcodeIndex"][2] == 7
    assert second["opcodeIndex"][1] == b"mine"
    assert bytes(second["customOptions"]) == bytes(range(200))
    kept = wrote["subgraphs"][0]["tensors"]
    assert kept[1]["sparsity"]["dimMetadata"][1]["arrayIndices"]["values"] == [0, 1]
    assert kept[3]["quantization"]["details"]["blockSize"] == 32
    assert kept[4]["isVariable"]
    assert kept[4]["shapeSignature"] == [-1, 4]
    assert kept[5]["quantization"]["min"] == [-1]
    assert kept[7]["variantTensors"][0]["shape"] == [2]
    assert wrote["metadata"] == {b"one": b"1", b"two": b""}
    assert wrote["signatureDefs"][0]["signatureKey"] == b"f"
    assert again.main.tensors[2].data.tolist() == [0x21, 0x03]
    assert again.main.tensors[6].data.tobytes().endswith(b"a")
    assert again.extra["metadata_buffer"] == [b"old"]
    assert again.main.extra == {"debug_metadata_index": 4}
