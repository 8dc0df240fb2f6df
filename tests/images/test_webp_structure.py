"""WebP structure: the picture is found among the chunks, and a broken, animated or costly file is refused first."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.fuzz_files import EXIF, mend_webp, save_image
from tasks.images.decoding import decode, orientation
from tasks.images.webp_structure import HEAD, START, webp_chunks, webp_picture
from tasks.settings.errors import BadInput

NOISE = np.random.default_rng(7).integers(0, 256, (45, 61), np.uint8)
LOSSLESS = save_image(Image.fromarray(NOISE), "WEBP", lossless=True)
LOSSY = save_image(Image.fromarray(NOISE), "WEBP", quality=90)


def chunk(kind: bytes, data: bytes) -> bytes:
    return HEAD.pack(kind, len(data)) + data + bytes(len(data) % 2)


def with_chunks(*chunks: bytes, content: bytes = LOSSLESS) -> bytes:
    """The file with chunks behind its last one."""
    return mend_webp(content + b"".join(chunks))


@pytest.mark.parametrize("content", [LOSSLESS, LOSSY], ids=["lossless", "lossy"])
def test_the_sides_are_found_without_decoding(content):
    picture, *sides = webp_picture(content)
    assert sides == [61, 45]
    assert picture == content


def test_all_but_the_picture_is_left_out():
    exif = save_image(Image.fromarray(NOISE).convert("RGBA"), "WEBP", quality=90, exif=EXIF, xmp=b"x" * 999)
    assert len(list(webp_chunks(exif))) >= 4
    picture, *_ = webp_picture(exif)
    assert [kind for kind, _ in webp_chunks(picture)] == [b"VP8 "]
    assert orientation(exif) == 6
    assert decode(exif, ".webp", 40).pixels.shape == NOISE.shape


def test_an_animation_is_refused(monkeypatch):
    file = io.BytesIO()
    frames = [Image.fromarray(np.roll(NOISE, shift)) for shift in range(4)]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was decoded"))
    decoded = decode(file.getvalue(), ".webp", 40)
    assert (decoded.code, decoded.reason) == (
        "costly", "the WebP is an animation, one picture is read: save the picture that shows the part",
    )  # fmt: skip


@pytest.mark.parametrize("content", [LOSSLESS, LOSSY], ids=["lossless", "lossy"])
def test_a_picture_over_the_cap_is_refused_before_it_is_decoded(monkeypatch, content):
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was decoded"))
    changed = bytearray(content)
    changed[START + 8 + (1 if content is LOSSLESS else 6) :][:4] = b""
    place = START + HEAD.size + (1 if content is LOSSLESS else 6)
    changed[place : place + 4] = b"\xff\xff\xff\x0f" if content is LOSSLESS else b"\xff\x3f\xff\x3f"
    decoded = decode(bytes(changed), ".webp", 40)
    assert decoded.code == "megapixels"
    assert decoded.reason.startswith("16384 x 16384" if content is LOSSLESS else "16383 x 16383")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (LOSSLESS[:-2], "the file breaks off: it has"),
        (mend_webp(LOSSLESS[:-2]), "breaks off inside its chunk b'VP8L'"),
        (with_chunks(b"abc"), "breaks off inside a chunk"),
        (mend_webp(LOSSLESS[:START]), "has no picture"),
        (with_chunks(chunk(b"XMP ", b"x"), content=LOSSLESS[:START]), "has no picture"),
        (with_chunks(chunk(b"VP8L", b"x" * 9), content=LOSSLESS[:START]), "does not begin like one of VP8L"),
        (with_chunks(chunk(b"VP8 ", b"x" * 9), content=LOSSLESS[:START]), "does not begin like a key frame of VP8"),
    ],
    ids=["cut", "a short chunk", "half a head", "nothing", "no picture", "another VP8L", "another VP8"],
)
def test_a_broken_file_is_told_apart(content, reason):
    with pytest.raises(ValueError, match=reason):
        webp_picture(content)
    assert decode(content, ".webp", 40).code == "undecodable"


def test_chunks_are_allowed_in_proportion_to_bytes():
    webp_picture(with_chunks(*[chunk(b"XMP ", b"")] * 900))
    with pytest.raises(BadInput, match="the WebP has more than 1,0.. chunks, the most for its bytes: open it"):
        webp_picture(with_chunks(*[chunk(b"XMP ", b"")] * 1_100))


def test_of_two_pictures_the_first_is_read():
    again = with_chunks(LOSSLESS[START:])
    assert webp_picture(again) == webp_picture(LOSSLESS)
