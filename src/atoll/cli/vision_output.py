"""What classify, detect, segment and pose print: text, one JSON document, or one a line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Protocol

from atoll.cli.console import print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

Document = dict[str, Any]


class Output(Protocol):
    """Where results go, as they come."""

    def photo(self, document: Document, lines: Sequence[str]) -> None:
        """A photo: as data, and as lines of text."""

    def video(self, head: Document) -> None:
        """A video begins."""

    def frame(self, document: Document, line: str) -> None:
        """A frame of it: as data, and as one line, empty where nothing was seen."""

    def video_end(self, tail: Document) -> None:
        """It has ended; what was written of it."""

    def end(self, complete: bool = True, notes: Sequence[str] = ()) -> None:
        """Nothing more comes: all has been told, or something went wrong.

        Args:
            complete: Whether all has been told.
            notes: What a user should know of how it ran: a device that was lost.
        """


class TextOutput:
    """Lines for people: a photo and what is on it; of a video, the frames with something on."""

    def photo(self, document: Document, lines: Sequence[str]) -> None:
        """The photo's name, then what was seen, indented."""
        self._write("\n".join([document["photo"], *(f"  {line}" for line in lines)]))

    def video(self, head: Document) -> None:
        """The video's name."""
        self._write(head["video"])

    def frame(self, document: Document, line: str) -> None:
        """The time and what was seen, if anything."""
        if line:
            self._write(f"  {document['time']:9.3f} s  {line}")

    def video_end(self, tail: Document) -> None:
        """The clips and the film."""
        for clip in tail.get("clips", ()):
            self._write(f"  {clip['path']}  {clip['start']:.3f} to {clip['end']:.3f} s")
        if "drawn" in tail:
            self._write(f"  {tail['drawn']}")

    def end(self, complete: bool = True, notes: Sequence[str] = ()) -> None:
        """Nothing is left to print; notes go to standard error."""

    def _write(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


class LinesOutput:
    """A JSON document a line, each whole by itself: to follow a camera."""

    def __init__(self) -> None:
        self._video = ""

    def photo(self, document: Document, lines: Sequence[str]) -> None:
        """One line."""
        self._write(document)

    def video(self, head: Document) -> None:
        """Nothing: its frames tell its name."""
        self._video = head["video"]

    def frame(self, document: Document, line: str) -> None:
        """One line."""
        self._write({"video": self._video, **document})

    def video_end(self, tail: Document) -> None:
        """One line, which has no frame."""
        self._write({"video": self._video, **tail})

    def end(self, complete: bool = True, notes: Sequence[str] = ()) -> None:
        """Nothing is left to print; notes go to standard error."""

    def _write(self, document: Document) -> None:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()


class JsonOutput:
    """One JSON document: {"model", "device", "results": [...]}.

    Photos are few, and printed at the end, so that an error leaves no half of a document. Frames
    are many: they are printed as they come, a line each, and the document is always ended.

    Args:
        head: What stands before the results.
    """

    def __init__(self, head: Document) -> None:
        self._head = head
        self._waiting: list[Document] = []
        self._streams = False
        self._results = 0
        self._frames = 0

    def photo(self, document: Document, lines: Sequence[str]) -> None:
        """Kept until the end, or written where a video has been."""
        if self._streams:
            self._item(json.dumps(document))
        else:
            self._waiting.append(document)

    def video(self, head: Document) -> None:
        """Its head, and the beginning of the list of its frames."""
        if not self._streams:
            self._streams = True
            start = json.dumps(self._head)[:-1]
            sys.stdout.write(f'{start}, "results": [')
            for document in self._waiting:
                self._item(json.dumps(document))
        self._item(json.dumps(head)[:-1] + ', "frames": [')
        self._frames = 0

    def frame(self, document: Document, line: str) -> None:
        """One line."""
        sys.stdout.write(("," if self._frames else "") + "\n" + json.dumps(document))
        sys.stdout.flush()
        self._frames += 1

    def video_end(self, tail: Document) -> None:
        """The end of its frames, and what was written of it."""
        end = json.dumps(tail)[1:]
        sys.stdout.write("\n]" + (", " if tail else "") + end)

    def end(self, complete: bool = True, notes: Sequence[str] = ()) -> None:
        """The end of the document; where it was not begun and is not complete, there is none."""
        told = {"notes": list(notes)} if notes else {}
        if self._streams:
            sys.stdout.write("\n]" + (f", {json.dumps(told)[1:]}" if told else "}") + "\n")
        elif complete:
            print_json({**self._head, "results": self._waiting, **told})

    def _item(self, text: str) -> None:
        sys.stdout.write(("," if self._results else "") + "\n" + text)
        self._results += 1
