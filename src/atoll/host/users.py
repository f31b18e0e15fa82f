"""Who may open a device's node, and who has it open."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.host.sysfs import read_entries, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

try:
    import grp
    import pwd
except ImportError:  # not on Windows
    grp = None  # type: ignore[assignment]
    pwd = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Holder:
    """A process that has a file open.

    Attributes:
        pid: Its number.
        name: Its command.
    """

    pid: int
    name: str

    def __str__(self) -> str:
        who = "this program itself, " if self.pid == os.getpid() else ""
        return f"{who}process {self.pid} ({self.name})"


@dataclass(frozen=True)
class Holders:
    """The processes that have a file open, so far as they can be seen.

    Attributes:
        found: Those.
        hidden: How many processes would not say what they have open.
    """

    found: tuple[Holder, ...]
    hidden: int


def find_holders(root: Path, node: Path) -> Holders:
    """Who has a file open: every process that this user may look into.

    Args:
        root: Where the file system begins.
        node: The file, as this process calls it.
    """
    found: list[Holder] = []
    hidden = 0
    # What a process has open is told as it is called inside that root.
    target = f"/{node.relative_to(root)}" if node.is_relative_to(root) else str(node)
    for entry in read_entries(root / "proc"):
        if not entry.name.isdigit():
            continue
        try:
            links = {os.readlink(link.path) for link in _open_files(entry.path)}  # noqa: PTH115
        except PermissionError:
            hidden += 1
            continue
        except OSError:  # it has ended meanwhile
            continue
        if target in links:
            name = read_text(f"{entry.path}/comm") or "unknown"
            found.append(Holder(int(entry.name), name))
    return Holders(tuple(sorted(found, key=lambda holder: holder.pid)), hidden)


def _open_files(process: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(f"{process}/fd") as entries:
        yield from entries


def describe_mode(node: Path) -> str:
    """A file's mode, owner and group, as `ls -l` tells them: "crw-rw-r-- root plugdev"."""
    try:
        facts = node.stat()
    except OSError as error:
        return error.strerror or "it cannot be looked at"
    return f"{stat.filemode(facts.st_mode)} {_owner(facts.st_uid)} {_group(facts.st_gid)}"


def group_of(node: Path) -> str:
    """The name of the group that a file belongs to; empty where it cannot be looked at."""
    try:
        return _group(node.stat().st_gid)
    except OSError:
        return ""


def own_name() -> str:
    """This user's name."""
    return _owner(os.geteuid()) if hasattr(os, "geteuid") else ""


def own_groups() -> set[str]:
    """The groups that this process is in: those that its login had when it began."""
    if not hasattr(os, "getgroups"):
        return set()
    return {_group(number) for number in (*os.getgroups(), os.getegid())}


def members(root: Path, group: str) -> list[str] | None:
    """Who is in a group by /etc/group; None where there is no such group."""
    for line in (read_text(root / "etc/group") or "").splitlines():
        name, _, rest = line.partition(":")
        if name == group:
            return [user for user in rest.rpartition(":")[2].split(",") if user]
    return None


def _owner(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, AttributeError):
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except (KeyError, AttributeError):
        return str(number)
