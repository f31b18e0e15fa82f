"""Which network a build trains: chosen, built, and filled with weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from atoll.data.decode import FORMATS
from atoll.runtime.model_input import input_spec
from atoll.tflite.reader import read_model
from atoll.train.backbones import Backbone, check_alpha, check_size, find_backbone
from atoll.train.transfer import Transfer, agreement, check_agreement, from_tflite
from atoll.train.weights import load_imagenet, load_keras_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.build.settings import BuildSettings
    from atoll.data.dataset import Dataset
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


@dataclass(frozen=True)
class Choice:
    """What can be said of the network before the framework is loaded.

    Attributes:
        preprocessing: What it will want of a photo.
        row: Its row of the table; None where a TFLite model's structure decides.
        alpha: Its width multiplier, where the row is known.
    """

    preprocessing: Preprocessing
    row: Backbone | None
    alpha: float


def choose(settings: BuildSettings, photos: Sequence[Path]) -> Choice:
    """Chooses the network.

    Args:
        settings: What was asked for.
        photos: The data set's files, a few of which are looked at for their size.

    Returns:
        The choice.

    Raises:
        UsageError: A size or width that the backbone does not come in.
        ModelError: `init_from` is no TFLite model of one image.
    """
    if settings.init_from is not None:
        preprocessing = input_spec(read_model(settings.init_from), settings.init_from).preprocessing
        if settings.size is not None:
            preprocessing = preprocessing.resized(*settings.size)
        return Choice(replace(preprocessing, resize=settings.resize), None, 1.0)
    common = _common_size(photos)
    name = settings.backbone
    if name == "auto":
        name = "small_convnet" if max(common) <= _TINY else "mobilenet_v2"
    row = find_backbone(name)
    alpha = 1.0 if settings.alpha is None else settings.alpha
    check_alpha(row, alpha)
    width, height = settings.size or (row.size, row.size)
    if settings.size is None and not row.cut and max(common) <= _TINY:
        width, height = (max(side, row.smallest) for side in common)
    check_size(row, width, height)
    return Choice(replace(row.preprocessing(width, height), resize=settings.resize), row, alpha)


def make_network(choice: Choice, settings: BuildSettings) -> Network:
    """Builds the chosen network and fills in its weights.

    Args:
        choice: As `choose` made it.
        settings: What was asked for.

    Returns:
        The network.

    Raises:
        UsageError: The size is none that the network of `init_from` comes in.
        WeightsError: The weights cannot be had, or belong to another network.
    """
    if choice.row is None:
        return _from_tflite(choice, settings)
    row, preprocessing = choice.row, choice.preprocessing
    model = row.build((preprocessing.height, preprocessing.width, 3), choice.alpha)
    network = Network(row, choice.alpha, preprocessing, model, True, "")
    if settings.weights == "none" or (settings.weights == "auto" and not row.application):
        return replace(network, pretrained=False, origin="None: trained from nothing.")
    if settings.weights in ("auto", "imagenet"):
        load_imagenet(row, model, choice.alpha)
        return replace(network, origin="Keras's own, trained on ImageNet.")
    layers = load_keras_file(Path(settings.weights), model)
    return replace(network, origin=f"{Path(settings.weights).name}: {layers} layers.")


def prove_transfer(network: Network, data: Dataset) -> Network:
    """Runs the TFLite model and the network on some photos, and says how far they agree.

    Args:
        network: Filled from a TFLite model.
        data: Its first few held-out photos are used; nothing is learnt from them.

    Returns:
        The network, with the finding in its `origin`.

    Raises:
        WeightsError: They do not compute the same.
    """
    transfer = network.transfer
    if transfer is None or transfer.head is None or transfer.resized:
        return network
    some = data.pixels[data.indices("test")[:_COMPARED]]
    same, among_five = agreement(transfer, some)
    check_agreement(transfer, among_five)
    finding = f" On {len(some)} of these photos its top-1 and the network's agree in {same:.0%}."
    return replace(network, origin=network.origin + finding)


def _from_tflite(choice: Choice, settings: BuildSettings) -> Network:
    path = settings.init_from
    assert path is not None
    backbone = None if settings.backbone == "auto" else settings.backbone
    transfer = from_tflite(path, backbone=backbone, size=settings.size)
    check_size(transfer.row, choice.preprocessing.width, choice.preprocessing.height)
    return Network(
        row=transfer.row,
        alpha=transfer.alpha,
        preprocessing=choice.preprocessing,
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
