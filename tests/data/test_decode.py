"""Photos as people have them: turned, odd, damaged, hostile. One bad file must not end a build."""

import io
import os
import random
import re
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from atoll.data.decode import FORMATS, MAX_PIXELS, MAX_SCANS, UnreadablePhoto, decode

# What Pillow warns of is kept quiet in a program, which the last test checks; pytest shows it.
pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\..*")

RED, WHITE = (255, 0, 0), (255, 255, 255)
needs_avif = pytest.mark.skipif("AVIF" not in FORMATS, reason="this Pillow reads no AVIF")


def smooth(width=48, height=32):
    """A photo without symmetry, smooth enough for JPEG to keep."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, 255 - across], -1).astype(np.uint8))


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(data):
    return decode(io.BytesIO(data))


def reason(data, **options):
    with pytest.raises(UnreadablePhoto) as caught:
        decode(io.BytesIO(data), **options)
    return str(caught.value)


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def assert_near(image, expected, atol):
    assert image.mode == "RGB"
    assert image.size == expected.size
    np.testing.assert_allclose(np.asarray(image, int), np.asarray(expected, int), atol=atol)


FORMS = [
    ("JPEG", {"quality": 95, "subsampling": 0}, 6),
    ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 6),
    ("PNG", {}, 0),
    ("BMP", {}, 0),
    ("TIFF", {}, 0),
    ("TIFF", {"compression": "tiff_lzw"}, 0),
    ("PPM", {}, 0),
    ("WEBP", {"lossless": True}, 0),
    ("GIF", {}, 60),
    pytest.param("AVIF", {"quality": 95}, 12, marks=needs_avif),
]


@pytest.mark.parametrize(("form", "options", "atol"), FORMS)
def test_every_format_gives_the_photo(form, options, atol):
    assert_near(decoded(encoded(smooth(), form, **options)), smooth(), atol)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_photo_taken_with_the_camera_turned_comes_upright(form, orientation):
    data = encoded(smooth(), form, exif=exif(orientation))
    with Image.open(io.BytesIO(data)) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    assert expected.size == ((32, 48) if orientation >= 5 else (48, 32))
    assert_near(decoded(data), expected, 0)


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0" + b"\xff" * 40,
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x07\0\xff\xff\xff\x7f\0\0\0\0" * 9,
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\x006\0\0\0\0\0\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",
        b"Exif\0\0",
    ],
    ids=["noise", "far offset", "huge counts", "text for number", "orientation 99", "empty"],
)
def test_a_damaged_exif_block_costs_no_photo(block):
    assert_near(decoded(encoded(smooth(), "JPEG", exif=block)), smooth(), 40)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_png_of_every_mode(mode):
    grey = smooth().convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = (smooth() if mode in ("P", "RGBA") else grey).convert(mode)
    expected = (grey if mode == "I;16" else image).convert("RGB")
    assert_near(decoded(encoded(image, "PNG")), expected, 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_white(mode):
    image = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 2, 2))
    options = {}
    if mode in ("RGB", "L"):
        options["transparency"] = (0, 0, 0) if mode == "RGB" else 0
    got = decoded(encoded(image.convert(mode), "PNG", **options))
    assert got.getpixel((3, 0)) == WHITE
    assert got.getpixel((0, 0)) == (RED if mode in ("RGBA", "P", "RGB") else (76, 76, 76))


def test_half_transparency_is_mixed_with_white():
    got = decoded(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 128)), "WEBP", lossless=True))
    np.testing.assert_allclose(got.getpixel((0, 0)), (255, 127, 127), atol=1)


@pytest.mark.parametrize(
    ("values", "dtype", "form", "expected"),
    [
        ([0, 32768, 65535], np.uint16, "TIFF", [0, 128, 255]),
        ([0, 32768, 65535], np.uint16, "PNG", [0, 128, 255]),
        ([0, 32768, 65535], np.int32, "PPM", [0, 128, 255]),
        ([0, 32768, 65535], np.int32, "TIFF", [0, 128, 255]),
        ([0, 1_004_000, 2_000_000], np.int32, "TIFF", [0, 128, 255]),
        ([-5, 0, 65535], np.int32, "TIFF", [0, 0, 255]),
        ([0.0, 0.5, 1.0], np.float32, "TIFF", [0, 128, 255]),
        ([0.0, 128.0, 255.0], np.float32, "TIFF", [0, 128, 255]),
        ([np.nan, np.inf, 1.0], np.float32, "TIFF", [0, 0, 255]),
        ([0.0, 0.0, 0.0], np.float32, "TIFF", [0, 0, 0]),
    ],
)
def test_deep_grey_is_scaled_to_eight_bits(values, dtype, form, expected):
    image = Image.fromarray(np.array([values], dtype))
    got = np.asarray(decoded(encoded(image, form)))[0]
    np.testing.assert_array_equal(got, np.repeat(np.array(expected)[:, None], 3, 1))


def test_deep_grey_of_the_other_byte_order():
    values = np.array([[0, 32768, 65535]], ">u2")
    image = Image.frombytes("I;16B", (3, 1), values.tobytes())
    got = np.asarray(decoded(encoded(image, "TIFF")))[0, :, 0]
    np.testing.assert_array_equal(got, [0, 128, 255])


def cmyk_jpeg(stored, transform):
    """A JPEG of four channels holding just these values, as Adobe marks it."""
    data = encoded(Image.fromarray(255 - stored, "CMYK"), "JPEG", quality=100, subsampling=0)
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
    assert b"Adobe" not in data or marker in data
    plain = re.sub(re.escape(marker) + b".", b"", data, flags=re.DOTALL)
    return plain[:2] + marker + bytes([transform]) + plain[2:]


def test_cmyk_and_ycck_of_adobe_are_not_negatives():
    cmyk = np.asarray(smooth().convert("CMYK"))
    inverted = 255 - cmyk
    ycc = np.asarray(Image.fromarray(cmyk[..., :3].copy()).convert("YCbCr"))
    ycck = np.concatenate([ycc, inverted[..., 3:]], -1)
    assert_near(decoded(cmyk_jpeg(inverted, 0)), smooth(), 8)
    assert_near(decoded(cmyk_jpeg(ycck, 2)), smooth(), 8)


def test_cmyk_tiff_and_lab_tiff():
    assert_near(decoded(encoded(smooth().convert("CMYK"), "TIFF")), smooth(), 1)
    if features.check("littlecms2"):
        from PIL import ImageCms

        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        muted = Image.blend(smooth(), Image.new("RGB", (48, 32), "grey"), 0.7)
        image = ImageCms.profileToProfile(muted, srgb, lab, outputMode="LAB")
        assert_near(decoded(encoded(image, "TIFF")), muted, 6)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_an_animation_gives_its_first_frame(form):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, "blue", "lime")]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decoded(data).getpixel((4, 4)), RED, atol=5)


def test_photos_are_read_by_what_they_hold_not_by_their_name(tmp_path):
    path = tmp_path / "photo.eps"
    path.write_bytes(encoded(smooth(), "PNG"))
    assert_near(decode(path), smooth(), 0)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size", [(1600, 1200), (1601, 1203), (640, 300)])
@pytest.mark.parametrize("wanted", [(100, 150), (400, 60), (2000, 2000)])
def test_a_draft_is_smaller_yet_never_below_what_was_asked(size, wanted, orientation):
    data = encoded(smooth(*size), "JPEG", exif=exif(orientation), quality=95)
    full = decoded(data)
    draft = decode(io.BytesIO(data), draft_size=wanted)
    factors = {full.width / draft.width, full.height / draft.height}
    assert all(any(abs(f - step) < 0.05 for step in (1, 2, 4, 8)) for f in factors)
    for got, whole, least in zip(draft.size, full.size, wanted, strict=True):
        assert got >= min(least, whole)
    if min(whole // least for whole, least in zip(full.size, wanted, strict=True)) >= 2:
        assert draft.width < full.width
    assert_near(draft.resize((40, 30)), full.resize((40, 30)), 6)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_draft_of_other_formats_is_the_photo(form):
    data = encoded(smooth(200, 100), form, **({"lossless": True} if form == "WEBP" else {}))
    assert decode(io.BytesIO(data), draft_size=(10, 10)).size == (200, 100)


def png_header(width, height):
    def chunk(kind, body):
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000)))


@pytest.mark.parametrize(
    ("size", "megapixels"),
    [((11_000, 11_000), "121"), ((20_000, 12_500), "250"), ((60_000, 60_000), "3,600")],
)
def test_a_decompression_bomb_is_refused_from_its_header(size, megapixels):
    started = time.perf_counter()
    got = reason(png_header(*size))
    assert got == f"{megapixels} megapixels, the limit is {MAX_PIXELS // 10**6}"
    assert time.perf_counter() - started < 1


def test_the_limit_is_the_callers_to_set():
    data = encoded(Image.new("RGB", (2000, 1000)), "PNG")
    assert reason(data, max_pixels=1_000_000) == "2 megapixels, the limit is 1"
    assert decode(io.BytesIO(data), max_pixels=2_000_000).size == (2000, 1000)


def test_a_progressive_jpeg_of_endless_scans_is_refused():
    data = encoded(smooth(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert "scans" in reason(data[:-2] + scan * MAX_SCANS + data[-2:])
    assert decoded(data[:-2] + scan * 9 + data[-2:]).size == smooth().size


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_a_truncated_photo_says_so(form):
    data = encoded(Image.effect_noise((200, 200), 90).convert("RGB"), form)
    assert "truncated" in reason(data[: len(data) * 2 // 3])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"cat, dog\n", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"\x00" * 5000, "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is not read: save it as JPEG or PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not read: save it as JPEG or PNG"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "truncated"),
        (b"\xff\xd8\xff no more of it", "its JPEG header is truncated or damaged"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "its PNG header is truncated or damaged"),
    ],
    ids=["empty", "text", "eps", "zeros", "svg", "heic", "jpeg cut", "jpeg", "png"],
)
def test_what_is_no_photo_is_named(data, words):
    assert reason(data) == words


def test_what_is_no_file_is_named(tmp_path):
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    for path, words in [
        (tmp_path / "none.jpg", "no such file"),
        (tmp_path, "not a regular file"),
        (pipe, "not a regular file"),
        (tmp_path / ("x" * 300), "File name too long"),
    ]:
        with pytest.raises(UnreadablePhoto, match=words):
            decode(path)


def test_a_photo_without_read_permission_is_named(tmp_path):
    path = tmp_path / "locked.png"
    smooth().save(path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(UnreadablePhoto, match="Permission denied"):
        decode(path)


def test_many_threads_decode_alike():
    data = encoded(smooth(400, 300), "JPEG", exif=exif(6))
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda _: decoded(data).tobytes(), range(64)))
    assert len(set(images)) == 1


def damaged_files(folder, count):
    """Files of every format with bytes changed or the end cut off, the same each time."""
    dice = random.Random(0)
    image = Image.effect_noise((40, 30), 90).convert("RGB")
    tiffs = ["raw", "tiff_deflate", "tiff_lzw", "jpeg", "packbits", "group4"]
    kinds = [(form, {}) for form in FORMATS if form != "TIFF"]
    kinds += [("TIFF", {"compression": kind}) for kind in tiffs] + [("JPEG", {"progressive": True})]
    for number, (form, options) in enumerate(kinds):
        source = image.convert("1") if "group4" in options.values() else image
        whole = encoded(source, form, exif=exif(6), **options)
        for copy in range(count):
            data = bytearray(whole)
            if copy % 4 == 0:
                del data[dice.randrange(len(data)) :]
            for _ in range(dice.choice([1, 3, 20]) if data and copy % 4 else 0):
                data[dice.randrange(min(len(data), dice.choice([64, 400, 10**9])))] = (
                    dice.randrange(256)
                )
            (folder / f"{number:02}_{copy:03}_{form}.bin").write_bytes(data)


DECODE_ALL = """
import sys
from pathlib import Path
from atoll.data.decode import UnreadablePhoto, decode
reasons = []
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        image = decode(path, max_pixels=10**7, draft_size=(8, 8))
        assert image.mode == "RGB", path
    except UnreadablePhoto as error:
        reasons.append(str(error))
assert reasons
assert all("\\n" not in reason and 0 < len(reason) < 100 for reason in reasons), reasons
"""


def test_damage_gives_a_reason_and_never_a_word_on_the_screen(tmp_path):
    """Pillow warns and libtiff prints; a build over a bad folder must not drown its own output."""
    damaged_files(tmp_path, 60)
    tiff, samples = encoded(smooth(), "TIFF"), b"\x15\x01\x03\0\x01\0\0\0"
    assert samples in tiff
    absurd = tiff.replace(samples + b"\x03\0", samples + b"\0\x08")
    (tmp_path / "2048 channels.tif").write_bytes(absurd)
    run = subprocess.run(
        [sys.executable, "-c", DECODE_ALL, str(tmp_path)], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
