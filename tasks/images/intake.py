"""Pictures that users hand in: checked, turned upright, stripped of everything but the pixels.

Where they are stored and which prompt they go into is the caller's business.
"""

import base64
import io
import logging
import struct
import zlib
from dataclasses import dataclass

from PIL import Image, ImageCms, ImageOps

from tasks.errors import BadInputError

log = logging.getLogger(__name__)

MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
PORTRAIT_SIDE = 1024
JPEG_QUALITY = 85

# Only these decoders ever see the bytes. JPEG includes MPO, two frames in one .jpg of a phone.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
ACCEPTED = "PNG, JPEG, WebP or GIF"
HEIF_BRANDS = (b"heic", b"heix", b"heif", b"mif1", b"msf1", b"avif")

# Everything that Pillow's decoders were seen to raise on damaged files.
DECODE_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class IntakePicture:
    """A picture fit for use: `image` is RGB, upright, sRGB; `label` is the user's name for it."""

    label: str
    image: Image.Image

    @property
    def width(self) -> int:
        return self.image.width

    @property
    def height(self) -> int:
        return self.image.height


def read_picture(data: bytes, *, label: str) -> IntakePicture:
    """Check and decode a user's picture; of an animation, the first frame.

    `label` names it in errors (its file name). Raises BadInputError, which trying again does not
    help: more than 20 MB or 50 megapixels, another format, damaged or cut off.
    """
    if not data:
        raise BadInputError(f"{label} is empty.", hint=f"Give a {ACCEPTED} file.")
    if len(data) > MAX_BYTES:
        raise BadInputError(
            f"{label} has {len(data) / 1e6:.1f} MB; up to {MAX_BYTES // 10**6} MB are allowed.",
            hint="Make it smaller: 1024 pixels on the long side are enough.",
        )
    image = _opened(data, label)
    if image.width * image.height > MAX_PIXELS:
        raise _too_many_pixels(label, f"{image.width}x{image.height} pixels")
    try:
        image.load()
    except DECODE_FAULTS as error:
        raise BadInputError(
            f"{label} is a damaged or cut-off {image.format} file: {error}",
            hint="Open it in a picture viewer and save it again, or copy it once more.",
        ) from error
    return IntakePicture(label=label, image=_bare(_opaque(_srgb(_upright(image, label), label))))


def data_url(picture: IntakePicture, *, max_side: int = 1024) -> str:
    """Encode as `data:image/jpeg;base64,…`, at most `max_side` pixels on the long side."""
    sink = io.BytesIO()
    _shrunk(picture.image, max_side).save(sink, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(sink.getvalue()).decode("ascii")


def portrait_png(picture: IntakePicture) -> bytes:
    """Encode as PNG for the character's card, at most 1024 pixels on the long side.

    It carries no metadata: it is the user's own picture, not one that Castline generated.
    """
    sink = io.BytesIO()
    _shrunk(picture.image, PORTRAIT_SIDE).save(sink, "PNG", optimize=True)
    return sink.getvalue()


def _opened(data: bytes, label: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(label, "far more pixels than that") from error
    except DECODE_FAULTS as error:
        raise _unreadable(data, label) from error


def _too_many_pixels(label: str, size: str) -> BadInputError:
    return BadInputError(
        f"{label} has {size}; up to {MAX_PIXELS // 10**6} megapixels are allowed.",
        hint="Make it smaller: 1024 pixels on the long side are enough.",
    )


def _unreadable(data: bytes, label: str) -> BadInputError:
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        return BadInputError(
            f"{label} is a HEIC or AVIF picture, which cannot be read here.",
            hint="Export it as JPEG or PNG and give that file.",
        )
    return BadInputError(
        f"{label} is not a picture that can be read.",
        hint=f"Give a {ACCEPTED} file; texts go in with --brief or --text.",
    )


def _upright(image: Image.Image, label: str) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except DECODE_FAULTS as error:
        log.warning("%s has unreadable EXIF data, so it is used as it lies: %s", label, error)
        return image


def _srgb(image: Image.Image, label: str) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in {"RGB", "CMYK"}:
        return image
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, *DECODE_FAULTS) as error:
        log.warning("%s has an unusable colour profile, which is ignored: %s", label, error)
        return image
    return converted or image


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit greys: Pillow's own conversion to RGB would clip everything above 255 to white.
        return image.point(lambda value: value / 257, "F").convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")


def _bare(image: Image.Image) -> Image.Image:
    # A fresh image has an empty `info`: no EXIF, no place, no comment travels on.
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    return bare


def _shrunk(image: Image.Image, max_side: int) -> Image.Image:
    copy = image.copy()
    copy.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return copy
