"""The points of a body that pose models know, and the lines between them.

Source: COCO's keypoints, which PoseNet, MoveNet and BodyPix give in this order.
"""

from __future__ import annotations

KEYPOINTS = (
    "nose",
    "left eye",
    "right eye",
    "left ear",
    "right ear",
    "left shoulder",
    "right shoulder",
    "left elbow",
    "right elbow",
    "left wrist",
    "right wrist",
    "left hip",
    "right hip",
    "left knee",
    "right knee",
    "left ankle",
    "right ankle",
)

_BONES = (
    ("nose", "left eye"),
    ("nose", "right eye"),
    ("left eye", "left ear"),
    ("right eye", "right ear"),
    ("left shoulder", "right shoulder"),
    ("left shoulder", "left elbow"),
    ("left elbow", "left wrist"),
    ("right shoulder", "right elbow"),
    ("right elbow", "right wrist"),
    ("left shoulder", "left hip"),
    ("right shoulder", "right hip"),
    ("left hip", "right hip"),
    ("left hip", "left knee"),
    ("left knee", "left ankle"),
    ("right hip", "right knee"),
    ("right knee", "right ankle"),
)

BONES = tuple((KEYPOINTS.index(one), KEYPOINTS.index(two)) for one, two in _BONES)
"""Pairs of places in KEYPOINTS that are drawn with a line."""
