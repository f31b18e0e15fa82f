"""Videos made on the spot: every frame carries its own number."""

from fractions import Fraction

import numpy as np

BITS = 10
# Dark enough for a detector of colours to see nothing in it.
GREY = 110
SIZE = (160, 96)


def numbered(number, size=SIZE, colour=None):
    """A frame: its number as black and grey bars below, and a coloured square above."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    bar = size[0] // BITS
    for bit in range(BITS):
        pixels[size[1] // 2 :, bit * bar : (bit + 1) * bar] = GREY * (number >> bit & 1)
    if colour is not None:
        pixels[: size[1] // 2, : size[0] // 2] = colour
    return pixels


def number_of(pixels):
    """The number of a frame, read back."""
    height, width, _ = pixels.shape
    bar = width // BITS
    row = pixels[height * 3 // 4].mean(axis=1)
    return sum(int(row[bit * bar + bar // 2] > GREY // 2) << bit for bit in range(BITS))


def make_film(path, frames, rate=25, times=None, container=None):
    """Writes frames (RGB arrays), at these times in seconds where they are given."""
    import av

    with av.open(str(path), "w", format=container) as film:
        stream = film.add_stream("mpeg4", rate=rate, options={"qscale": "2"})
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(frames):
            if number == 0:
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            time = number / rate if times is None else times[number]
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return path


def numbers_in(path):
    """The numbers of a video's frames, and their times."""
    import av

    with av.open(str(path)) as film:
        shown = [(f.to_ndarray(format="rgb24"), f.time) for f in film.decode(video=0)]
    return [number_of(pixels) for pixels, _ in shown], [time for _, time in shown]
