"""Which network a build trains: chosen, built, and filled with weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from atoll.data.decode import FORMATS
from atoll.train.backbones import Backbone, check_alpha, check_size, find_backbone
from atoll.train.transfer import Transfer, agreement, check_agreement, from_tflite
from atoll.train.weights import load_imagenet, load_keras_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from atoll.build.settings import BuildSettings
    from atoll.data.preprocessing import Preprocessing

_TINY = 64
_LOOKED_AT = 200
_COMPARED = 32


@dataclass
class Network:
    """A backbone that is ready to be trained.

    Attributes:
        row: Its row of the table.
        alpha: Its width multiplier.
        preprocessing: What it wants of a photo.
        model: The keras.Model without a head.
        pretrained: Whether its weights know something.
        origin: Where they come from, a sentence for the report.
        transfer: What was read from a TFLite model.
    """

    row: Backbone
    alpha: float
    preprocessing: Preprocessing
    model: Any
    pretrained: bool
    origin: str
    transfer: Transfer | None = None


def make_network(settings: BuildSettings, photos: Sequence[Path]) -> Network:
    """Chooses the network, builds it and fills in its weights.

    Args:
        settings: What was asked for.
        photos: The data set's files, a few of which are looked at for their size.

    Returns:
        The network.

    Raises:
        UsageError: A size or width that the backbone does not come in.
        ModelError: `init_from` is no TFLite model of one image.
        WeightsError: The weights cannot be had, or belong to another network.
    """
    if settings.init_from is not None:
        return _from_tflite(settings, settings.init_from)
    common = _common_size(photos)
    name = settings.backbone
    if name == "auto":
        name = "small_convnet" if max(common) <= _TINY else "mobilenet_v2"
    row = find_backbone(name)
    alpha = 1.0 if settings.alpha is None else settings.alpha
    check_alpha(row, alpha)
    tiny = not row.cut and max(common) <= _TINY
    width, height = settings.size or (common if tiny else (row.size, row.size))
    if tiny:
        width, height = max(width, row.smallest), max(height, row.smallest)
    check_size(row, width, height)
    model = row.build((height, width, 3), alpha)
    preprocessing = replace(row.preprocessing(width, height), resize=settings.resize)
    network = Network(row, alpha, preprocessing, model, True, "")
    match settings.weights:
        case "none":
            pass
        case "auto" if not row.application:
            pass
        case "auto" | "imagenet":
            load_imagenet(row, model, alpha)
            return replace(network, origin="Keras's own, trained on ImageNet.")
        case path:
            layers = load_keras_file(Path(path), model)
            return replace(network, origin=f"{Path(path).name}: {layers} layers.")
    return replace(network, pretrained=False, origin="None: trained from nothing.")


def prove_transfer(network: Network, pixels: np.ndarray) -> Network:
    """Runs the TFLite model and the network on some photos, and says how far they agree.

    Args:
        network: Filled from a TFLite model.
        pixels: uint8 (n, height, width, 3); the first few are used.

    Returns:
        The network, with the finding in its `origin`.

    Raises:
        WeightsError: They do not compute the same.
    """
    transfer = network.transfer
    if transfer is None or transfer.head is None or transfer.resized:
        return network
    some = pixels[:_COMPARED]
    same, among_five = agreement(transfer, some)
    check_agreement(transfer, among_five)
    finding = f" On {len(some)} of these photos its top-1 and the network's agree in {same:.0%}."
    return replace(network, origin=network.origin + finding)


def _from_tflite(settings: BuildSettings, path: Path) -> Network:
    backbone = None if settings.backbone == "auto" else settings.backbone
    transfer = from_tflite(path, backbone=backbone, size=settings.size)
    preprocessing = replace(transfer.preprocessing, resize=settings.resize)
    check_size(transfer.row, preprocessing.width, preprocessing.height)
    return Network(
        row=transfer.row,
        alpha=transfer.alpha,
        preprocessing=preprocessing,
        model=transfer.model,
        pretrained=True,
        origin=f"{path.name}: {transfer.layers} layers, dequantised.",
        transfer=transfer,
    )


def _common_size(photos: Sequence[Path]) -> tuple[int, int]:
    """The most frequent (width, height) among some of the photos, read from their headers."""
    sizes: Counter[tuple[int, int]] = Counter()
    for path in photos[:: max(1, len(photos) // _LOOKED_AT)]:
        try:
            with Image.open(path, formats=FORMATS) as image:
                sizes[image.size] += 1
        except Exception:
            continue
    return max(sizes, key=lambda size: (sizes[size], size)) if sizes else (_TINY + 1, _TINY + 1)
