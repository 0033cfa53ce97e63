"""What is to be seen in an image, as RGB: upright, on white, and scaled by the range of its numbers."""

import numpy as np
from PIL import Image, ImageOps

from fedlearn_helpers.errors import InputError

_WITH_A_RANGE = ("JPEG2000", "PNG", "PPM", "TIFF")  # formats that say how large their 16-bit numbers can be
_FIRST_IS_ALL = ("MPO", "PSD")  # what follows the first image there is a preview, or its layers
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # in a TIFF file


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an opened image in mode RGB, as a viewer shows it.

    It is turned as its EXIF data say. Transparent parts become white. Grey levels of 16 bits (12 in some TIFF files)
    are scaled to 8. Colour profiles are not applied.

    Raises:
        InputError: it holds several images, or its numbers have no known range (modes I and F).
        Exception: whatever Pillow raises for a damaged file.
    """
    if getattr(image, "is_animated", False) and image.format not in _FIRST_IS_ALL:
        raise InputError(f"a file must hold one image, got {getattr(image, 'n_frames', 'several')}")
    image.load()
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # its EXIF data are damaged, and its pixels are not: viewers leave it as it lies
        pass
    if image.mode[0] in "IF":
        image = _to_grey(image)
    if image.has_transparency_data:
        colour = image.info.get("transparency")
        if isinstance(colour, tuple) and max(colour) > 255:
            raise InputError(f"transparency must be an alpha channel in an image of 16 bits, got the colour {colour}")
        if image.mode == "La":  # which Pillow converts to nothing else
            image = image.convert("LA")
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image.convert("RGBA"))
        image = paper
    return image.convert("RGB")


def _to_grey(image: Image.Image) -> Image.Image:
    """Scale grey levels of 16 bits to 8, rounded: 0 stays 0, and the largest possible number becomes 255."""
    unsigned = image.mode.startswith("I;16") or (image.mode == "I" and image.format != "TIFF")
    if not unsigned or image.format not in _WITH_A_RANGE:
        raise InputError(
            f"numbers must have a known range, got mode {image.mode}; scale them to 0 to 255, and save it with 8 bits"
        )
    levels = np.asarray(image).astype(np.int64)
    tags = getattr(image, "tag_v2", {})
    largest = 2 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        levels = largest - levels
    grey = (levels * 255 + largest // 2) // largest
    if (transparent := image.info.get("transparency")) is not None:
        grey[levels == transparent] = 255
    return Image.fromarray(grey.astype(np.uint8))
