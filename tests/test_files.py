"""A file is there whole or not at all: what a full disk, a kill or a wrong path leaves behind."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from atoll.errors import OutputError
from atoll.files import (
    create_array,
    make_folder,
    output_error,
    replacing,
    write_bytes,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def one_line(error: pytest.ExceptionInfo, *words: str) -> None:
    message = str(error.value)
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message


def test_what_is_written_is_there_and_nothing_else(tmp_path):
    write_bytes(tmp_path / "a.bin", bytes(range(256)))
    write_text(tmp_path / "b.txt", "Grüße\n")
    write_json(tmp_path / "c.json", {"z": 1, "a": [None, 0.5]})
    assert (tmp_path / "a.bin").read_bytes() == bytes(range(256))
    assert (tmp_path / "b.txt").read_bytes() == "Grüße\n".encode()
    text = (tmp_path / "c.json").read_text()
    assert list(json.loads(text)) == ["z", "a"]
    assert text.endswith("\n")
    assert names(tmp_path) == ["a.bin", "b.txt", "c.json"]


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path):
    """`-o /dev/stdout`, as root, would leave the machine without it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(OutputError) as error:
            write_bytes(path, b"x")
        one_line(error, path.name, "a device or a pipe")
    assert pipe.is_fifo()
    assert names(tmp_path) == ["link", "pipe"]


def test_what_a_link_names_is_written_and_the_link_stays(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_bytes(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"x"


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), MemoryError()])
def test_a_failure_keeps_the_old_file_and_leaves_no_other(tmp_path, error):
    """A report that fails on its second run must not take the first one's with it."""
    path = tmp_path / "report.html"
    write_text(path, "old")
    with pytest.raises(type(error)), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.html"]


def test_a_first_file_that_fails_is_not_there(tmp_path):
    with pytest.raises(RuntimeError), replacing(tmp_path / "model.tflite") as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert names(tmp_path) == []


def test_the_old_file_stays_readable_while_the_new_one_is_written(tmp_path):
    """A server may load the model at any moment."""
    path = tmp_path / "model.tflite"
    write_bytes(path, b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == path.parent
        assert temporary.suffix == path.suffix
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_json_that_no_reader_takes_is_not_written(tmp_path):
    """NaN is no JSON; the file from before is kept."""
    write_json(tmp_path / "r.json", {"top1": 0.5})
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "r.json", {"top1": float("nan")})
    assert json.loads((tmp_path / "r.json").read_text()) == {"top1": 0.5}


def test_places_that_cannot_be_written_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as caught:
        write_text(tmp_path / "file" / "x.txt", "")
    one_line(caught, "x.txt", "not a folder")
    with pytest.raises(OutputError) as caught:
        write_text(tmp_path / "missing" / "x.txt", "")
    one_line(caught, "x.txt", "No such file")
    with pytest.raises(OutputError) as caught:
        write_text(tmp_path / ("x" * 300), "")
    one_line(caught, "the name is too long")
    with pytest.raises(OutputError) as caught:
        write_text(tmp_path, "")
    one_line(caught, str(tmp_path))
    with pytest.raises(OutputError) as caught:
        make_folder(tmp_path / "file")
    one_line(caught, "a file is in the way")
    with pytest.raises(OutputError) as caught:
        make_folder(tmp_path / "file" / "run")
    one_line(caught, "not a folder")
    with pytest.raises(OutputError) as caught:
        create_array(tmp_path / "missing" / "x.npy", np.float16, (2, 3))
    one_line(caught, "x.npy")
    assert names(tmp_path) == ["file"]


def test_an_error_without_a_number_still_says_what_happened(tmp_path):
    error = output_error(tmp_path, OSError("something odd"))
    assert "something odd" in str(error)


def test_folders_are_made_with_their_parents_and_left_empty(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []


def test_an_array_can_be_written_through_and_read_back(tmp_path):
    path = tmp_path / "x.npy"
    array = create_array(path, np.float16, (2, 3))
    assert not array.any()
    array[1] = 7
    array.flush()
    assert np.array_equal(np.load(path), [[0, 0, 0], [7, 7, 7]])
    assert np.load(path).dtype == np.float16


def test_an_array_s_space_is_claimed_when_it_is_made(tmp_path):
    """Otherwise the disk fills up hours later, in the middle of training."""
    path = tmp_path / "x.npy"
    create_array(path, np.uint8, (1 << 20,))
    assert path.stat().st_blocks * 512 >= 1 << 20


@pytest.mark.parametrize("shape", [(0,), (0, 4, 4, 3), (2, 0)])
def test_an_array_of_nothing_can_be_made(tmp_path, shape):
    array = create_array(tmp_path / "x.npy", np.uint8, shape)
    assert array.shape == shape
    assert np.load(tmp_path / "x.npy").shape == shape


ON_A_FULL_DISK = """
    import sys
    from pathlib import Path
    import numpy as np
    from atoll.errors import OutputError
    from atoll.files import create_array, write_bytes

    folder = Path(sys.argv[1])
    write_bytes(folder / "kept.bin", b"old")
    attempts = [
        lambda: create_array(folder / "x.npy", np.uint8, (4 << 20,)).fill(1),
        lambda: write_bytes(folder / "kept.bin", bytes(4 << 20)),
    ]
    for attempt in attempts:
        try:
            attempt()
        except OutputError as error:
            print(error)
        else:
            sys.exit("it was written to a full disk")
    print(sorted(path.name for path in folder.iterdir()), (folder / "kept.bin").read_bytes())
"""


def test_a_full_disk_is_a_message_and_not_a_signal(tmp_path):
    """Writing to a mapped page without room behind it ends a process with SIGBUS."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("a small disk is made with unshare, of Linux")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(ON_A_FULL_DISK))
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=1m none "$1" || exit 77; exec "$2" "$3" "$1"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", disk, sys.executable, script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "unshare" in done.stderr or done.returncode == 77:
        pytest.skip(f"this machine lets nobody mount a small disk: {done.stderr.strip()}")
    assert done.returncode == 0, (done.returncode, done.stderr)
    array, content, left = done.stdout.splitlines()
    assert "x.npy: the disk is full" in array
    assert "kept.bin: the disk is full" in content
    assert left == "['kept.bin'] b'old'"


def test_two_processes_may_write_the_same_file(tmp_path):
    """Two builds into one folder: the last one wins, and the file is one of theirs, whole."""
    program = (
        "import sys; from pathlib import Path; from atoll.files import write_bytes\n"
        "for _ in range(50): write_bytes(Path(sys.argv[1]), sys.argv[2].encode() * 50_000)"
    )
    path = tmp_path / "x.bin"
    running = [
        subprocess.Popen([sys.executable, "-c", program, path, letter], env=os.environ)
        for letter in "ab"
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert path.read_bytes() in (b"a" * 50_000, b"b" * 50_000)
    assert names(tmp_path) == ["x.bin"]
