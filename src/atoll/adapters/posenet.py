"""PoseNet and BodyPix: with the operator that decodes poses inside the model, and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.adapters.found import People, probabilities
from atoll.adapters.table import Adapter, Raw, Wanted
from atoll.runtime.posenet_decoder import NAME
from atoll.runtime.posenet_poses import EDGES, PARTS, decode_poses

if TYPE_CHECKING:
    from atoll.adapters.facts import Facts
    from atoll.adapters.table import Decode

STRIDES = (4, 8, 16, 32)
# As Coral's models have it.
_NMS_RADIUS = 10.0
_LEAST = 1e-6


def _decoded(facts: Facts) -> Decode[People] | None:
    """Keypoints, their scores, the poses' scores and their count."""
    places = facts.places_of(NAME)
    if places is None and len(facts.outputs) >= 4:
        one, two, three, four = facts.shapes[:4]
        if (
            len(one) == 4
            and one[2:] == (PARTS, 2)
            and two == one[:3]
            and three == one[:2]
            and facts.outputs[3].size == 1
            and four != three
        ):
            places = [0, 1, 2, 3]
    if places is None or len(places) < 4:
        return None
    points, parts, scores, count = places[:4]
    size = np.array([facts.width, facts.height])

    def decode(raw: Raw, wanted: Wanted) -> People:
        told = np.nan_to_num(raw[count].reshape(-1)[:1])
        most = raw[scores].size
        many = int(np.clip(told[0] if told.size else 0, 0, most))
        found = raw[points].reshape(most, PARTS, 2)[:many, :, ::-1] / size
        rated = raw[parts].reshape(most, PARTS)[:many]
        return People(found, rated, raw[scores].reshape(-1)[:many]).chosen(wanted)

    return decode


def _raw(facts: Facts) -> Decode[People] | None:
    """Heatmaps [1, h, w, 17] and offsets, with or without what holds a pose together."""
    maps = facts.maps()
    if len(maps.get(PARTS, ())) != 1 or 2 * PARTS not in maps:
        return None
    heat = maps[PARTS][0]
    # Long offsets have as many channels as short ones, and come after them.
    short = min(maps[2 * PARTS], key=lambda place: "long" in facts.outputs[place].name.lower())
    mids = maps.get(4 * EDGES, [])[:1] or _both_ways(facts, maps.get(2 * EDGES, []))
    used = [heat, short, *mids]
    if any(facts.shapes[place][:3] != facts.shapes[heat][:3] for place in used):
        return None
    stride = stride_of(facts, facts.shapes[heat][2])
    known = facts.are_probabilities(heat)
    size = np.array([facts.width, facts.height])

    def decode(raw: Raw, wanted: Wanted) -> People:
        logits = _log_odds(raw[heat][0], known)
        offsets = raw[short][0] / np.float32(stride)
        if not mids:
            return _alone(logits, offsets, stride / size).chosen(wanted)
        mid = np.concatenate([raw[place][0] for place in mids], axis=2) / np.float32(stride)
        poses = decode_poses(
            logits,
            offsets,
            mid,
            most=wanted.most,
            threshold=min(max(wanted.threshold, 0.0), 1 - _LEAST),
            radius=_NMS_RADIUS / stride,
        )
        return People(poses.points[..., ::-1] * stride / size, poses.part_scores, poses.scores)

    return decode


def _both_ways(facts: Facts, places: list[int]) -> list[int]:
    """Displacements from the nose outwards, then back, by their names where those tell."""
    if len(places) != 2:
        return []
    return sorted(places, key=lambda place: "bwd" in facts.outputs[place].name.lower())


def stride_of(facts: Facts, columns: int) -> int:
    """Input pixels a cell of a map with so many columns: width / stride, or one more."""
    return min(STRIDES, key=lambda stride: abs(facts.width / stride - (columns - 0.5)))


def _log_odds(heatmaps: np.ndarray, known: bool | None) -> np.ndarray:
    """Heatmaps as log-odds, of these or of probabilities."""
    rated = probabilities(heatmaps, known)
    if rated is not heatmaps:
        return heatmaps
    bounded = np.clip(rated, _LEAST, 1 - _LEAST)
    odds: np.ndarray = np.log(bounded / (1 - bounded)).astype(np.float32)
    return odds


def _alone(logits: np.ndarray, offsets: np.ndarray, scale: np.ndarray) -> People:
    """One person: each part where its heatmap is highest."""
    best = logits.reshape(-1, PARTS).argmax(axis=0)
    ys, xs = np.divmod(best, logits.shape[1])
    parts = np.arange(PARTS)
    points = np.stack([xs + offsets[ys, xs, parts + PARTS], ys + offsets[ys, xs, parts]], axis=1)
    rated = probabilities(logits[ys, xs, parts], known=False)
    return People(points[None] * scale, rated[None], rated.mean()[None])


POSENET: tuple[Adapter[People], ...] = (
    Adapter("posenet", "poses [1,N,17,2], [1,N,17], [1,N], count [1]", _decoded),
    Adapter("posenet-raw", "heatmaps [1,h,w,17], offsets [1,h,w,34], with or without more", _raw),
)
