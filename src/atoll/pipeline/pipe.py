"""A bounded queue between two threads that can be ended, or stopped at any moment."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Ended(Exception):  # noqa: N818 - no error: it says that nothing more will come
    """Nothing more will come, and nothing is taken any longer."""


class Pipe(Generic[Item]):
    """A queue: `put` waits for room, `take` for something to take, `stop` ends both.

    Args:
        size: The most items that wait in it; None for any number.
    """

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._items: deque[Item] = deque()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._there = threading.Condition(self._lock)
        self._ended = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Adds an item, once there is room.

        Raises:
            Ended: It was ended or stopped, before or while this waited.
        """
        with self._lock:
            while not self._ended and self._size is not None and len(self._items) >= self._size:
                self._room.wait()
            if self._ended:
                raise Ended
            self._items.append(item)
            self._there.notify()

    def take(self) -> Item:
        """Removes the oldest item, once there is one.

        Raises:
            Ended: It was ended, and is empty.
        """
        with self._lock:
            while not self._items:
                if self._ended:
                    raise Ended
                self._there.wait()
            self._room.notify()
            return self._items.popleft()

    def resize(self, size: int | None) -> None:
        """Changes how many items wait in it at most; those that wait stay."""
        with self._lock:
            self._size = size
            self._room.notify_all()

    def end(self) -> None:
        """Nothing is put into it any longer; what it holds can be taken."""
        with self._lock:
            self._ended = True
            self._room.notify_all()
            self._there.notify_all()

    def stop(self) -> None:
        """Ends it, and drops what it holds."""
        with self._lock:
            self._items.clear()
        self.end()
