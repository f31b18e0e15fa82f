"""Poses from PoseNet's maps: where each part of a body is likely, and how parts hang together.

Source: G. Papandreou et al., PersonLab (arXiv 1803.08225), and the decoder in google-coral/libcoral
(posenet_decoder.cc), whose constants and order of steps these are, so that poses equal its own.
Points are y, x in cells of the maps throughout.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

PARTS = 17
"""Parts of a body, in COCO's order: nose, eyes, ears, shoulders, elbows, wrists, hips, knees,
ankles, left before right."""

EDGES = 16
"""Pairs of parts along which a pose is followed, each in both directions."""

# From the nose outwards.
_TREE = (
    (0, 1), (1, 3), (0, 2), (2, 4),
    (0, 5), (5, 7), (7, 9), (5, 11), (11, 13), (13, 15),
    (0, 6), (6, 8), (8, 10), (6, 12), (12, 14), (14, 16),
)  # fmt: skip

_STEPS = 5
"""Times that a point is refined by the short offsets after a step along an edge."""
_MASK_STEPS = 3
"""Times that a cell follows the long offsets to a part."""
_LEAST = 1e-6
_FAR = 1e6


def _neighbours() -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """For each part: its neighbours, each with the channels of the mid offsets' y and x.

    The channels are four blocks of one number an edge: forward y and x, backward y and x.
    """
    found: list[list[tuple[int, int, int]]] = [[] for _ in range(PARTS)]
    for number, (one, two) in enumerate([*_TREE, *((two, one) for one, two in _TREE)]):
        # Edge 16, from the left eye back to the nose, reads the channels of other edges in the
        # published decoder. Its answers are the standard here.
        channel = number + EDGES if number > EDGES else number
        found[one].append((two, channel, channel + EDGES))
    return tuple(tuple(row) for row in found)


_NEIGHBOURS = _neighbours()


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses, the best first.

    Attributes:
        points: float32 (n, 17, 2), y and x of each part.
        part_scores: float32 (n, 17), 0 to 1.
        scores: float32 (n,), 0 to 1.
    """

    points: np.ndarray
    part_scores: np.ndarray
    scores: np.ndarray


def decode_poses(
    heatmaps: np.ndarray,
    short: np.ndarray,
    mid: np.ndarray,
    *,
    most: int,
    threshold: float,
    radius: float,
) -> Poses:
    """Finds the poses of all people.

    Args:
        heatmaps: float32 (h, w, 17), the log-odds that a part is there.
        short: float32 (h, w, 34), from a cell to the part nearby, in cells: 17 of y, 17 of x.
        mid: float32 (h, w, 64), from a part to its neighbours, in cells: see `_neighbours`.
        most: The most poses.
        threshold: The score that a part needs to begin a pose, and a pose to count, 0 to 1.
        radius: Cells within which two parts of one kind are the same.

    Returns:
        The poses.
    """
    # A damaged network may give anything: what is no number is nowhere, and near.
    heatmaps = np.nan_to_num(heatmaps, nan=-_FAR, posinf=_FAR, neginf=-_FAR)
    short, mid = (np.nan_to_num(v, nan=0.0, posinf=_FAR, neginf=-_FAR) for v in (short, mid))
    roots = _roots(heatmaps, short, threshold)
    maps = _Maps(heatmaps, short, mid)
    near = np.float32(radius * radius)
    points: list[np.ndarray] = []
    logits: list[np.ndarray] = []
    waiting = np.ones(len(roots.scores), bool)
    for root in range(len(roots.scores)):
        if len(points) == most:
            break
        # Another pose has this very part.
        if not waiting[root]:
            continue
        found, rated = maps.follow(int(roots.parts[root]), *map(float, roots.points[root]))
        if _sigmoid(rated).mean() < threshold:
            continue
        points.append(found)
        logits.append(rated)
        distances = ((roots.points - found[roots.parts]) ** 2).sum(axis=1)
        waiting &= distances > near
    if not points:
        return Poses(*(np.zeros(shape, np.float32) for shape in ((0, PARTS, 2), (0, PARTS), 0)))
    return _rated(np.stack(points), _sigmoid(np.stack(logits)), threshold, near)


def _rated(points: np.ndarray, scores: np.ndarray, threshold: float, near: np.floating) -> Poses:
    """Poses by their scores, to which parts that a better pose has do not count."""
    order = np.argsort(-scores.mean(axis=1), kind="stable")
    points, scores = points[order], scores[order]
    totals = np.empty(len(points), np.float32)
    for i, pose in enumerate(points):
        taken = (((points[:i] - pose) ** 2).sum(axis=2) <= near).any(axis=0)
        totals[i] = np.where(taken, 0, scores[i]).sum() / PARTS
    order = np.argsort(-totals, kind="stable")
    order = order[totals[order] >= threshold]
    return Poses(points[order], scores[order], totals[order])


@dataclass(frozen=True, eq=False)
class _Roots:
    """Parts that a pose may begin from, the surest first."""

    parts: np.ndarray
    points: np.ndarray
    scores: np.ndarray


def _roots(heatmaps: np.ndarray, short: np.ndarray, threshold: float) -> _Roots:
    """Cells whose score is above the threshold, and not below any of the eight around them."""
    height, width, _ = heatmaps.shape
    padded = np.pad(heatmaps, ((1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    logit = -np.log(1 / (threshold + _LEAST) - 1)
    ys, xs, parts = np.nonzero((heatmaps >= windows.max(axis=(3, 4))) & (heatmaps >= logit))
    scores = heatmaps[ys, xs, parts]
    points = np.stack(
        [
            np.clip(ys + short[ys, xs, parts], 0, height - 1),
            np.clip(xs + short[ys, xs, parts + PARTS], 0, width - 1),
        ],
        axis=1,
    ).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    return _Roots(parts[order], points[order], scores[order])


class _Maps:
    """The maps as flat numbers: a pose reads a few hundred, one by one, where arrays are slow."""

    def __init__(self, heatmaps: np.ndarray, short: np.ndarray, mid: np.ndarray) -> None:
        self._height, self._width, _ = heatmaps.shape
        self._heat, self._short, self._mid = (
            np.ascontiguousarray(values, np.float32).reshape(-1).data
            for values in (heatmaps, short, mid)
        )

    def follow(self, part: int, y: float, x: float) -> tuple[np.ndarray, np.ndarray]:
        """A pose from one of its parts, along the surest ones first.

        Returns:
            (17, 2) points and (17,) log-odds.
        """
        points = np.zeros((PARTS, 2), np.float32)
        logits = np.zeros(PARTS, np.float32)
        left = set(range(PARTS))
        queue = [(-self._at(self._heat, PARTS, y, x, (part,))[0], part, y, x)]
        while queue:
            score, part, y, x = heapq.heappop(queue)
            if part not in left:
                continue
            left.remove(part)
            points[part], logits[part] = (y, x), -score
            for other, down, across in _NEIGHBOURS[part]:
                if other in left:
                    there = self._step(y, x, other, (down, across))
                    heat = self._at(self._heat, PARTS, *there, (other,))[0]
                    heapq.heappush(queue, (-heat, other, *there))
        return points, logits

    def _step(
        self, y: float, x: float, target: int, channels: tuple[int, int]
    ) -> tuple[float, float]:
        """Along an edge to the neighbour, then to where the short offsets say it is."""
        y, x = self._moved(y, x, self._at(self._mid, 4 * EDGES, y, x, channels))
        nearby = (target, target + PARTS)
        for _ in range(_STEPS):
            y, x = self._moved(y, x, self._at(self._short, 2 * PARTS, y, x, nearby))
        return y, x

    def _moved(self, y: float, x: float, by: list[float]) -> tuple[float, float]:
        return (
            min(max(y + by[0], 0.0), self._height - 1.0),
            min(max(x + by[1], 0.0), self._width - 1.0),
        )

    def _at(
        self, values: memoryview, depth: int, y: float, x: float, channels: tuple[int, ...]
    ) -> list[float]:
        """A map's channels at a point between cells, bilinear."""
        top, left = int(y), int(x)
        down, across = y - top, x - left
        row = top * self._width
        below = row + self._width if down else row
        aside = left + 1 if across else left
        corners = (row + left) * depth, (row + aside) * depth
        lower = (below + left) * depth, (below + aside) * depth
        return [
            (1 - down) * ((1 - across) * values[corners[0] + c] + across * values[corners[1] + c])
            + down * ((1 - across) * values[lower[0] + c] + across * values[lower[1] + c])
            for c in channels
        ]


def instance_masks(long: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which cells belong to which person: the one whose parts they point to.

    Args:
        long: float32 (h, w, 34), from a cell to each part of its person, in cells: y, then x.
        points: (n, 17, 2), the people's parts.

    Returns:
        float32 (n, h, w) of 0 and 1; each cell belongs to one person.
    """
    height, width, _ = long.shape
    if not len(points):
        return np.zeros((0, height, width), np.float32)
    long = np.nan_to_num(long, nan=0.0, posinf=_FAR, neginf=-_FAR)
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    ys, xs = (np.repeat(plane[..., None], PARTS, axis=2) for plane in (ys, xs))
    for _ in range(_MASK_STEPS):
        down, across = _sampled(long, ys, xs)
        ys, xs = np.clip(ys + down, 0, height - 1), np.clip(xs + across, 0, width - 1)
    reached = np.stack([ys, xs], axis=3)[None]
    distances = ((reached - points[:, None, None]) ** 2).sum(axis=(3, 4))
    nearest = distances.argmin(axis=0)
    owned: np.ndarray = np.arange(len(points))[:, None, None] == nearest
    return owned.astype(np.float32)


def _sampled(long: np.ndarray, ys: np.ndarray, xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The y and x offsets of part i at (ys[..., i], xs[..., i]), bilinear."""
    height, width, _ = long.shape
    top, left = ys.astype(np.int64), xs.astype(np.int64)
    below, aside = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, across = ys - top, xs - left
    found = []
    for first in (0, PARTS):
        channel = np.arange(first, first + PARTS)
        upper = (1 - across) * long[top, left, channel] + across * long[top, aside, channel]
        lower = (1 - across) * long[below, left, channel] + across * long[below, aside, channel]
        found.append((1 - down) * upper + down * lower)
    return found[0], found[1]


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    spread: np.ndarray = 0.5 * (np.tanh(0.5 * logits) + 1)
    return spread
