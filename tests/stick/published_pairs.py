"""Compiled files of Google's compiler that a virtual stick can stand for."""

from atoll.edgetpu.twins import find_twin
from atoll.errors import ModelError
from atoll.stick.known import know


def published_pairs(shared):
    """Each compiled file with its twin, where there is one that is proven and LiteRT opens it."""
    pairs = []
    for path in sorted((shared / "models").glob("*/*_edgetpu.tflite")):
        twin = find_twin(path)
        # LiteRT has no PosenetDecoderOp.
        if twin is None or "posenet" in path.name:
            continue
        try:
            know(path)
        except ModelError:
            continue
        pairs.append((path, twin))
    return pairs


def needs_other_kernels(path):
    """Whether XNNPACK cannot open it, so that all must compute without."""
    return path.parent.name == "v10" and path.name.startswith("deeplab")
