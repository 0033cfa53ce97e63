"""Images of every kind: read as a viewer shows them, or refused by name."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.data.pixels import to_rgb
from fedlearn_helpers.errors import InputError

SIDE = 32
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def halves(left, right, kind=np.uint8):
    """Return pixels, the left half of one value and the right half of another."""
    left, right = np.broadcast_arrays(np.asarray(left, kind), np.asarray(right, kind))
    pixels = np.empty((SIDE, SIDE, *left.shape), kind)
    pixels[:, : SIDE // 2], pixels[:, SIDE // 2 :] = left, right
    return pixels


def image(mode, left, right, kind=np.uint8):
    """Return an image in any mode from the numbers of its left and its right half."""
    return Image.frombytes(mode, (SIDE, SIDE), halves(left, right, kind).tobytes())


def sixteen(levels):
    height, width = levels.shape
    return Image.frombytes("I;16", (width, height), levels.astype("<u2").tobytes())


def palette(*colours):
    picture = image("P", 0, 1)
    picture.putpalette([level for colour in colours for level in colour])
    return picture


def file(picture, format, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def tiff(data, bits, photometric=1, kind=1):
    """Return an uncompressed grey TIFF file, as instruments write them and Pillow does not."""
    tags = {256: SIDE, 257: SIDE, 258: bits, 259: 1, 262: photometric, 277: 1, 278: SIDE, 279: len(data), 339: kind}
    tags[273] = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, tags[tag]) for tag in sorted(tags))
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + data


def packed_12(left, right):
    """Return the halves with 12 bits a pixel, two pixels in three bytes."""
    levels = halves(left, right, np.int64).reshape(-1, 2)
    first, second = levels.T
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8).tobytes()


def pgm(largest, left, right):
    return f"P5\n{SIDE} {SIDE}\n{largest}\n".encode() + halves(left, right, ">u2").tobytes()


def fits(left, right):
    cards = ["SIMPLE  = T", "BITPIX  = 16", "NAXIS   = 2", f"NAXIS1  = {SIDE}", f"NAXIS2  = {SIDE}", "END"]
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode() + halves(left, right, ">i2").tobytes()


RED, DARK = (200, 100, 50), (10, 20, 30)
SIXTEEN = halves(12000, 45000, np.uint16)  # 47 and 175 of 255: 65535 / 255 is 257
# Name of the file, its content, and what is to be seen in its left and its right half.
READ = {
    "1": ("x.png", file(Image.fromarray(halves(0, 255)).convert("1"), "PNG"), BLACK, WHITE),
    "1, white is zero": ("x.pbm", file(Image.fromarray(halves(0, 255)).convert("1"), "PPM"), BLACK, WHITE),
    "L": ("x.png", file(image("L", 40, 200), "PNG"), (40,) * 3, (200,) * 3),
    "L, a transparent level": ("x.png", file(image("L", 40, 200), "PNG", transparency=40), WHITE, (200,) * 3),
    "P in four bits": ("x.png", file(palette(*[(17 * i,) * 3 for i in range(16)]), "PNG", bits=4), BLACK, (17,) * 3),
    "LA": ("x.png", file(image("LA", (0, 0), (90, 255)), "PNG"), WHITE, (90,) * 3),
    "P": ("x.png", file(palette(RED, DARK), "PNG"), RED, DARK),
    "P, a transparent colour": ("x.png", file(palette(BLACK, DARK), "PNG", transparency=0), WHITE, DARK),
    "P, half transparent": ("x.png", file(palette(RED, BLACK), "PNG", transparency=b"\xff\x80"), RED, (127,) * 3),
    "GIF": ("x.gif", file(palette(RED, DARK), "GIF"), RED, DARK),
    "GIF, transparent": ("x.gif", file(palette(BLACK, DARK), "GIF", transparency=0), WHITE, DARK),
    "RGB": ("x.png", file(image("RGB", RED, DARK), "PNG"), RED, DARK),
    "RGB, a transparent colour": ("x.png", file(image("RGB", RED, DARK), "PNG", transparency=DARK), RED, WHITE),
    "RGBA, a drawing": ("x.png", file(image("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)), "PNG"), WHITE, BLACK),
    "RGBA, half transparent": ("x.png", file(image("RGBA", (0, 0, 0, 128), (*RED, 255)), "PNG"), (127,) * 3, RED),
    "RGBA in WebP": (
        "x.webp",
        file(image("RGBA", (0, 0, 0, 0), (*RED, 255)), "WEBP", lossless=True, exact=True),
        WHITE,
        RED,
    ),
    "CMYK": ("x.tif", file(image("CMYK", (0, 255, 255, 0), (0, 0, 0, 255)), "TIFF"), (255, 0, 0), BLACK),
    "LAB": ("x.tif", file(image("RGB", WHITE, RED).convert("LAB"), "TIFF"), WHITE, RED),
    "YCbCr in JPEG": ("x.jpg", file(image("RGB", WHITE, BLACK), "JPEG", quality=95), WHITE, BLACK),
    "CMYK in JPEG": ("x.jpe", file(image("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), "JPEG", quality=95), WHITE, BLACK),
    "I;16": ("x.png", file(sixteen(SIXTEEN), "PNG"), (47,) * 3, (175,) * 3),
    "I;16, darkest and brightest": (
        "x.png",
        file(sixteen(halves(0, 65535, np.uint16)), "PNG"),
        BLACK,
        WHITE,
    ),
    "I;16, a transparent level": (
        "x.png",
        file(sixteen(SIXTEEN), "PNG", transparency=12000),
        WHITE,
        (175,) * 3,
    ),
    "I;16 in TIFF": ("x.tiff", tiff(SIXTEEN.tobytes(), 16), (47,) * 3, (175,) * 3),
    "I;16, white is zero": ("x.tiff", tiff(SIXTEEN.tobytes(), 16, photometric=0), (208,) * 3, (80,) * 3),
    "I;16 of twelve bits": ("x.tiff", tiff(packed_12(4095, 2048), 12), WHITE, (128,) * 3),
    "I;16B": ("x.tif", file(image("I;16B", 12000, 45000, ">u2"), "TIFF"), (47,) * 3, (175,) * 3),
    "I in PGM": ("x.pgm", pgm(65535, 12000, 45000), (47,) * 3, (175,) * 3),
    "I in PGM up to 1000": ("x.pgm", pgm(1000, 1000, 500), WHITE, (128,) * 3),
    "JFIF": ("x.jfif", file(image("RGB", WHITE, BLACK), "JPEG", quality=95), WHITE, BLACK),
    "BMP": ("x.BMP", file(image("RGB", RED, DARK), "BMP"), RED, DARK),
    "TGA with alpha": ("x.tga", file(image("RGBA", (0, 0, 0, 0), (*RED, 255)), "TGA"), WHITE, RED),
    "ICO": ("x.ico", file(image("RGBA", (0, 0, 0, 0), (*RED, 255)), "ICO", sizes=[(SIDE, SIDE)]), WHITE, RED),
    "a photograph with a preview in it": (
        "x.mpo",
        file(
            image("RGB", WHITE, BLACK),
            "MPO",
            save_all=True,
            append_images=[image("RGB", BLACK, BLACK)],
            quality=95,
        ),
        WHITE,
        BLACK,
    ),
}
NEARLY = {"LAB", "P, half transparent", "RGBA, half transparent"}  # by a level or two


def folder_with(folder, name, content):
    for part in ("train", "test"):
        for label in ("a", "b"):
            (folder / part / label).mkdir(parents=True)
            (folder / part / label / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("kind", READ)
def test_every_kind_is_read_as_it_is_seen(tmp_path, kind):
    name, content, left, right = READ[kind]
    dataset = load_dataset(str(folder_with(tmp_path / "images", name, content)))
    assert dataset.train_images.shape == (2, 3, SIDE, SIDE) and "Not used" not in dataset.origin
    for pixels in (*dataset.train_images.numpy(), *dataset.test_images.numpy()):
        expected = halves(left, right).transpose(2, 0, 1).astype(int)
        np.testing.assert_allclose(pixels.astype(int), expected, atol=2 if kind in NEARLY else 0)


def several(format):
    return file(image("RGB", RED, DARK), format, save_all=True, append_images=[image("RGB", DARK, RED)])


REFUSED = {
    "I in TIFF": ("x.tif", file(image("I", 5, 70000, np.int32), "TIFF"), "known range, got mode I;"),
    "I;16S in TIFF": ("x.tif", tiff(halves(-5, 500, np.int16).tobytes(), 16, kind=2), "known range, got mode I;"),
    "F in TIFF": ("x.tif", file(image("F", 0.5, 0.7, np.float32), "TIFF"), "known range, got mode F;"),
    "F in PFM": ("x.pfm", file(image("F", 0.5, 0.7, np.float32), "PPM"), "known range, got mode F;"),
    "I;16 in FITS": ("x.fits", fits(-5, 500), "known range, got mode I;16"),
    "an animation": ("x.gif", several("GIF"), "a file must hold one image, got 2"),
    "pages": ("x.tif", several("TIFF"), "a file must hold one image, got 2"),
    "an animated PNG": ("x.png", several("PNG"), "a file must hold one image, got 2"),
    "an animated WebP": ("x.webp", several("WEBP"), "a file must hold one image, got 2"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_clear_is_refused_by_name(tmp_path, cache, kind):
    name, content, says = REFUSED[kind]
    folder = folder_with(tmp_path / "images", name, content)
    with pytest.raises(InputError) as caught:
        load_dataset(str(folder))
    message = str(caught.value)
    assert message.startswith(f"dataset has an image that cannot be read: {folder / 'train' / 'a' / name} (")
    assert says in message and "\n" not in message
    assert list(cache.iterdir()) == []


# Modes that an opened image can have, also those that no file of the tests has; None where it is refused.
MODES = {
    "1": (255, WHITE),
    "L": (200, (200,) * 3),
    "P": (0, BLACK),
    "LA": ((90, 0), WHITE),
    "La": ((0, 0), WHITE),
    "PA": ((0, 0), WHITE),
    "RGB": (RED, RED),
    "RGBA": ((*RED, 0), WHITE),
    "RGBa": ((0, 0, 0, 0), WHITE),
    "RGBX": ((*RED, 0), RED),
    "CMYK": ((0, 0, 0, 255), BLACK),
    "YCbCr": ((255, 128, 128), WHITE),
    "HSV": ((0, 255, 255), (255, 0, 0)),
    "LAB": ((255, 128, 128), WHITE),
    "I": (0, None),
    "F": (0, None),
    "I;16": (0, None),  # of no format
    "I;16B": (0, None),
    "I;16L": (0, None),
    "I;16N": (0, None),
}


def test_modes_are_all_that_pillow_has():
    assert set(MODES) == set(Image.MODES)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb_or_is_refused(mode):
    value, seen = MODES[mode]
    picture = Image.new(mode, (2, 2), value)
    if seen is None:
        with pytest.raises(InputError, match=f"numbers must have a known range, got mode {mode};"):
            to_rgb(picture)
    else:
        rgb = to_rgb(picture)
        assert rgb.mode == "RGB" and rgb.getpixel((0, 0)) == pytest.approx(seen, abs=2 if mode == "LAB" else 0)


# What is up ---------------------------------------------------------------------------------

TURN_BACK = {  # what a camera did that writes this orientation
    1: lambda upright: upright,
    2: ImageOps.mirror,
    3: lambda upright: upright.transpose(Image.Transpose.ROTATE_180),
    4: ImageOps.flip,
    5: lambda upright: upright.transpose(Image.Transpose.TRANSPOSE),
    6: lambda upright: upright.transpose(Image.Transpose.ROTATE_90),
    7: lambda upright: upright.transpose(Image.Transpose.TRANSVERSE),
    8: lambda upright: upright.transpose(Image.Transpose.ROTATE_270),
}


def corners(mode):
    """Return an image with another grey level in each quarter."""
    levels = np.kron(np.array([[0, 85], [170, 255]]), np.ones((16, 16))).astype(np.uint8)
    if mode == "I;16":
        return sixteen(levels.astype(np.uint16) * 257)
    return Image.fromarray(levels).convert(mode)


@pytest.mark.parametrize("orientation", TURN_BACK)
@pytest.mark.parametrize(
    ("format", "mode", "options"),
    [
        ("JPEG", "RGB", {"quality": 95}),
        ("PNG", "L", {}),
        ("PNG", "I;16", {}),
        ("PNG", "LA", {}),
        ("TIFF", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
    ],
)
def test_a_photograph_is_upright(tmp_path, orientation, format, mode, options):
    exif = Image.Exif()
    exif[274] = orientation
    content = file(TURN_BACK[orientation](corners(mode)), format, exif=exif, **options)
    dataset = load_dataset(str(folder_with(tmp_path, f"x.{format.lower()}", content)))
    expected = np.asarray(corners("L")).astype(int)
    for channel in dataset.train_images[0].numpy().astype(int):
        np.testing.assert_allclose(channel[4:12, 4:12], expected[4:12, 4:12], atol=3)
        np.testing.assert_allclose(channel[4:12, 20:28], expected[4:12, 20:28], atol=3)
        np.testing.assert_allclose(channel[20:28, 4:12], expected[20:28, 4:12], atol=3)
        np.testing.assert_allclose(channel[20:28, 20:28], expected[20:28, 20:28], atol=3)


def test_a_photograph_with_damaged_exif_data_is_read_as_it_lies(tmp_path):
    content = file(image("RGB", WHITE, BLACK), "JPEG", quality=95, exif=b"Exif\0\0XX*\0\x08\0\0\0\xff\xff")
    dataset = load_dataset(str(folder_with(tmp_path, "x.jpg", content)))
    np.testing.assert_array_equal(dataset.train_images[0].numpy(), halves(WHITE, BLACK).transpose(2, 0, 1))


def test_classes_that_differ_in_brightness_alone_stay_apart_in_sixteen_bits(tmp_path):
    for label, level in (("dark", 12000), ("bright", 45000)):
        (tmp_path / label).mkdir()
        for number in range(2):
            sixteen(np.full((20, 20), level, np.uint16)).save(tmp_path / label / f"{number}.png")
    dataset = load_dataset(str(tmp_path))
    means = {dataset.class_names[k]: dataset.train_images[dataset.train_labels == k].float().mean() for k in (0, 1)}
    assert means == {"dark": 47, "bright": 175}
