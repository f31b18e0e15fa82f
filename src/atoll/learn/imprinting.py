"""Weight imprinting: a class is learned from a few embeddings, by adding them up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import UsageError
from atoll.learn.coral_head import class_weights, coral_head, factor_of, read_lengths, unit
from atoll.learn.cosine import FACTOR, Cosine
from atoll.learn.dense import Beside
from atoll.learn.head import Headed, averaged, extractor
from atoll.learn.place import find_embedding
from atoll.learn.record import ENTRY, Record, read_record, write_record

if TYPE_CHECKING:
    from atoll.learn.coral_head import CoralHead
    from atoll.tflite.graph import Model


@dataclass(frozen=True)
class Imprinted:
    """A class that was learned from embeddings.

    Attributes:
        total: The sum of what they gave, float64 (size,).
        count: How many they were; 0 where another program imprinted it, and nobody knows.
    """

    total: np.ndarray
    count: int


class Imprinter:
    """A model that learns classes from embeddings.

    The model is cut at its embedding (`place.find_embedding`), and given new last layers. Without
    `keep_classes` these know only what is learned here. With it, the classes that the model has
    stay, and those that were imprinted before can learn more: a model that learned in two goes is
    the same, byte for byte, as one that learned all at once.

    Args:
        model: A classifier, an embedding extractor, or an imprinted model.
        source: What to call it in a message.
        embedding: The name of the tensor that is its embedding; None finds it.
        keep_classes: Whether the classes that it has stay.

    Attributes:
        place: Where the embedding is.
        classes: What it knows by now: None for a class of the model's own.

    Raises:
        ModelError: Its embedding cannot be found.
        UsageError: There is no such tensor, or there are no classes to keep.

    Example:
        >>> imprinter = Imprinter(read_model("mobilenet.tflite"), "mobilenet.tflite")
        >>> imprinter.train(embeddings_of_cats, 0)
        >>> imprinter.train(embeddings_of_dogs, 1)
        >>> content = write_model(imprinter.headed().model)
    """

    def __init__(
        self,
        model: Model,
        source: object,
        *,
        embedding: str | None = None,
        keep_classes: bool = False,
    ) -> None:
        self._base, self.place = averaged(model, find_embedding(model, source, embedding))
        self.classes: list[Imprinted | None] = []
        self._layers: Cosine | Beside
        head = coral_head(model.main) if embedding is None else None
        factor = 0.0 if head is None else factor_of(model.main, head)
        factor = factor if 0 < factor < 1e3 else FACTOR
        if not keep_classes:
            nothing = np.empty((0, self.place.size))
            self._layers = Cosine(nothing, factor)
        elif head is not None:
            self._keep_imprinted(head, factor)
        elif self.place.dense is not None:
            self._keep_dense(source)
        else:
            raise UsageError(
                source,
                "there must be classes to keep",
                received="an embedding extractor",
                fix="Leave --keep-classes or --resume out",
            )

    @property
    def num_classes(self) -> int:
        """How many classes it knows by now."""
        return len(self.classes)

    def extractor(self) -> Model:
        """The model up to its embedding."""
        return extractor(self._base, self.place)

    def train(self, embeddings: np.ndarray, class_id: int) -> None:
        """Learns a class, or more of it.

        Args:
            embeddings: Real numbers, (n, size) or (size,); not normalised.
            class_id: The number of an imprinted class, or for a new class the number of classes
                that there are.

        Raises:
            UsageError: The class is the model's own, or the embeddings are of another size.
        """
        rows = np.atleast_2d(np.asarray(embeddings, np.float64))
        self._check(rows, class_id)
        old = self.classes[class_id] if class_id < len(self.classes) else None
        total = np.zeros(self.place.size) if old is None else old.total
        # One by one: the same sum, however many come at once.
        for row in self._layers.summand(rows):
            total = total + row
        count = 0 if old is None else old.count
        learned = Imprinted(total, count + len(rows))
        self.classes[class_id : class_id + 1] = [learned]

    def scores(self, embeddings: np.ndarray) -> np.ndarray:
        """The classes' scores, before the softmax, in real numbers.

        Args:
            embeddings: Real numbers, (n, size).

        Returns:
            (n, classes).
        """
        return self._layers.scores(self._layers.summand(embeddings), self.classes)

    def leave_one_out(self, embeddings: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
        """How many photos would be recognised had they not been learned from.

        Args:
            embeddings: Real numbers, (n, size), all of which were learned.
            labels: The class of each.

        Returns:
            Right ones, and how many were asked: those whose class has others.
        """
        right = asked = 0
        for embedding, label in zip(embeddings, labels, strict=True):
            known = self.classes[label]
            if known is None or known.count < 2:
                continue
            summand = self._layers.summand(embedding)
            others = list(self.classes)
            others[label] = Imprinted(known.total - summand, known.count - 1)
            asked += 1
            right += int(self._layers.scores(summand[None], others)[0].argmax() == label)
        return right, asked

    def headed(self, twin: Model | None = None) -> Headed:
        """The model with the layers that it has learned.

        Args:
            twin: The model that a compiled one was made of, to be given the same layers instead:
                it has a tensor of the embedding's name.

        Raises:
            UsageError: Nothing was learned.
        """
        learned = {i: each for i, each in enumerate(self.classes) if each is not None}
        if not self.classes:
            raise UsageError(
                "imprinting", "there must be a class", received="none", fix="Train one first"
            )
        if twin is None:
            made = self._layers.headed(self.classes, self._base, self.place)
        else:
            place = find_embedding(twin, "the twin", self.place.name)
            made = self._layers.headed(self.classes, *averaged(twin, place))
        metadata = {k: v for k, v in made.model.metadata.items() if k != ENTRY}
        if learned and all(each.count for each in learned.values()):
            record = Record(
                self._layers.kind,
                list(learned),
                [each.count for each in learned.values()],
                np.array([each.total for each in learned.values()]),
            )
            metadata[ENTRY] = write_record(record)
        return replace(made, model=replace(made.model, metadata=metadata))

    def _keep_imprinted(self, head: CoralHead, factor: float) -> None:
        graph = self._base.main
        weights = class_weights(graph, head)
        self.classes = [None] * len(weights)
        for number, length in read_lengths(self._base.description).items():
            if number < len(weights):
                self.classes[number] = Imprinted(weights[number] * length, 0)
        record = read_record(self._base, self.place.size)
        if record is not None and record.kind == "cosine":
            kernel = graph.tensors[graph.operators[head.convolution].inputs[1]].quantization
            step = float(kernel.scale.max()) if kernel is not None else 1e-4
            for number, count, total in zip(
                record.classes, record.counts, record.sums, strict=True
            ):
                # Another program may have imprinted since, and left the record as it was.
                fits = number < len(weights) and self.classes[number] is not None
                if fits and np.abs(unit(total) - weights[number]).max() <= step:
                    self.classes[number] = Imprinted(total, count)
        self._layers = Cosine(weights, factor)

    def _keep_dense(self, source: object) -> None:
        record = read_record(self._base, self.place.size)
        if record is not None and record.kind == "dense":
            self._layers = Beside(self._base, self.place, min(record.classes), source)
            self.classes = [None] * self._layers.kept
            self.classes += map(Imprinted, record.sums, record.counts)
            return
        self._layers = Beside(self._base, self.place, None, source)
        self.classes = [None] * self._layers.kept

    def _check(self, rows: np.ndarray, class_id: int) -> None:
        if rows.ndim != 2 or rows.shape[1] != self.place.size or not np.isfinite(rows).all():
            raise UsageError(
                "imprinting",
                f"an embedding is {self.place.size} finite numbers",
                received=f"an array of shape {list(rows.shape)}",
                fix="Give what the model's extractor gives",
            )
        if not 0 <= class_id <= len(self.classes):
            raise UsageError(
                "imprinting",
                f"a new class has the number {len(self.classes)}",
                received=class_id,
                fix="Number new classes one after another",
            )
        if class_id < len(self.classes) and self.classes[class_id] is None:
            raise UsageError(
                "imprinting",
                "only imprinted classes can learn more",
                received=f"class {class_id}, which is the model's own",
                fix="Give the photos a class of their own",
            )
