"""Files of every kind that users bring, each with the pixels that it must become.

The pixels come from the arrays that the files are made of, or from Pillow where a format loses
some. Tests of folders, programs and exported models run through the same table.
"""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
from dicom_files import dicom
from PIL import Image

HEIGHT, WIDTH = 20, 26


class PictureFile(NamedTuple):
    """A file and what it must become.

    Args:
        name: with the suffix that users give it.
        content: its bytes.
        pixels: uint8 (h, w, 3).
        in_graph: whether a TensorFlow graph decodes it; other formats are refused there.
    """

    name: str
    content: bytes
    pixels: np.ndarray
    in_graph: bool = True


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    samples: np.ndarray, depth: int, kind: int, *, extra: bytes = b"", palette: bytes = b""
) -> bytes:
    """A PNG written by hand, for what Pillow does not write.

    Args:
        samples: whole numbers (h, w) or (h, w, c) below 2**depth.
        depth: bits a sample: 1, 2, 4, 8 or 16.
        kind: the colour type: 0 grey, 2 colour, 3 palette, 4 grey and alpha, 6 colour and alpha.
        extra: chunks before the pixels.
        palette: what PLTE holds.
    """
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1).astype(np.uint16)
    if depth == 16:
        packed = [row.astype(">u2").tobytes() for row in rows]
    else:
        bits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        packed = [row.tobytes() for row in np.packbits(bits.reshape(height, -1), axis=1)]
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)),
            chunk(b"PLTE", palette) if palette else b"",
            extra,
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in packed))),
            chunk(b"IEND", b""),
        ]
    )


def scene(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A picture with colours, edges and a little noise, no two corners alike: uint8 (h, w, 3)."""
    rows, columns = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(rows / (4 + one) + columns / (7 - one)) for one in range(3)]
    picture = np.stack(waves, -1) + np.random.default_rng(0).normal(0, 4, (height, width, 3))
    picture[: height // 2, : width // 2] = (220, 30, 30)
    picture[height // 2 :, width // 2 :] = (30, 30, 220)
    return np.clip(picture, 0, 255).astype(np.uint8)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file that Pillow writes."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def opened(content: bytes) -> np.ndarray:
    """What Pillow reads, uint8 (h, w, 3)."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours (h, w, 3) over white, alpha (h, w) from 0 to 255: uint8 (h, w, 3)."""
    alpha = alpha[..., None].astype(float) / 255
    return np.rint(colours * alpha + 255 * (1 - alpha)).astype(np.uint8)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What is seen of stored pixels with an EXIF orientation."""
    return {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.rot90(p, 2),
        4: np.flipud,
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
        8: np.rot90,
    }[orientation](pixels)


def exif(orientation: int, order: str = "<") -> Image.Exif:
    """EXIF data of a camera, the orientation among them."""
    data = Image.Exif()
    data.endian = order
    data[0x010F] = "A camera's maker"
    data[0x0112] = orientation
    data[0x0132] = "2024:02:29 12:00:00"
    return data


def all_files() -> list[PictureFile]:
    """The table."""
    return [*jpegs(), *pngs(), *deep_files(), *other_formats(), *dicoms()]


def jpegs() -> list[PictureFile]:
    """Everything that is called .jpg."""
    picture = Image.fromarray(scene())
    grey = picture.convert("L")
    files = {
        "plain": saved(picture, "JPEG", quality=90),
        "progressive": saved(picture, "JPEG", progressive=True),
        "full chroma": saved(picture, "JPEG", subsampling=0),
        "half chroma": saved(picture, "JPEG", subsampling=1),
        "restart markers": saved(picture, "JPEG", restart_marker_blocks=2),
        "without conversion": saved(picture, "JPEG", keep_rgb=True),
        "grey": saved(grey, "JPEG"),
        "CMYK": saved(picture.convert("CMYK"), "JPEG"),
        "MPO": saved(picture, "MPO", save_all=True, append_images=[picture.rotate(180)]),
    }
    made = [PictureFile(f"{name}.jpg", file, opened(file)) for name, file in files.items()]
    plain = files["plain"]
    video = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + np.random.default_rng(0).bytes(200_000)
    made.append(PictureFile("motion photograph.JPEG", plain + video, opened(plain)))
    with_preview = saved(picture, "JPEG", exif=exif(1).tobytes() + saved(grey, "JPEG"))
    made.append(PictureFile("with a preview.jpe", with_preview, opened(with_preview)))
    for orientation in range(1, 9):
        for order, word in (("<", "little"), (">", "big")):
            file = saved(picture, "JPEG", exif=exif(orientation, order))
            pixels = turned(opened(saved(picture, "JPEG")), orientation)
            made.append(PictureFile(f"orientation {orientation} {word}.jpg", file, pixels))
    return made


def pngs() -> list[PictureFile]:
    """PNGs of up to 8 bits."""
    colours = scene()
    picture = Image.fromarray(colours)
    random = np.random.default_rng(1)
    alpha = random.integers(0, 256, colours.shape[:2]).astype(np.uint8)
    made = [
        PictureFile("colour.png", saved(picture, "PNG"), colours),
        PictureFile(
            "colour and alpha.png",
            saved(Image.fromarray(np.dstack([colours, alpha])), "PNG"),
            on_white(colours, alpha),
        ),
        PictureFile(
            "grey and alpha.png",
            png(np.dstack([colours[..., 0], alpha]), 8, 4),
            on_white(colours[..., :1].repeat(3, -1), alpha),
        ),
        PictureFile(
            "one colour transparent.png",
            png(colours, 8, 2, extra=chunk(b"tRNS", struct.pack(">HHH", *map(int, colours[0, 0])))),
            np.where((colours == colours[0, 0]).all(-1, keepdims=True), 255, colours),
        ),
        PictureFile(
            "animated.png",
            saved(picture, "PNG", save_all=True, append_images=[picture.rotate(180)]),
            colours,
        ),
    ]
    for depth in (1, 2, 4, 8):
        places = random.integers(0, 2**depth, (HEIGHT, WIDTH))
        palette = random.integers(0, 256, (2**depth, 3)).astype(np.uint8)
        opaque = random.integers(0, 256, 2**depth).astype(np.uint8)
        table = palette.tobytes()
        grey = (places * (255 // (2**depth - 1)))[..., None].repeat(3, -1).astype(np.uint8)
        clear = struct.pack(">H", int(places[0, 0]))
        made += [
            PictureFile(
                f"palette of {depth} bits.png",
                png(places, depth, 3, palette=table),
                palette[places],
            ),
            PictureFile(
                f"transparent palette of {depth} bits.png",
                png(places, depth, 3, palette=table, extra=chunk(b"tRNS", opaque.tobytes())),
                on_white(palette[places], opaque[places]),
            ),
            PictureFile(f"grey of {depth} bits.png", png(places, depth, 0), grey),
            PictureFile(
                f"transparent grey of {depth} bits.png",
                png(places, depth, 0, extra=chunk(b"tRNS", clear)),
                np.where((places == places[0, 0])[..., None], 255, grey).astype(np.uint8),
            ),
        ]
    for orientation in (1, 3, 6, 8):
        file = saved(picture, "PNG", exif=exif(orientation, ">"))
        made.append(
            PictureFile(f"orientation {orientation}.png", file, turned(colours, orientation))
        )
    return made


def deep_files() -> list[PictureFile]:
    """Files of 16 bits a sample, of which all or 12 carry the picture."""
    random = np.random.default_rng(2)
    samples = random.integers(0, 2**16, (HEIGHT, WIDTH, 4))
    twelve = random.integers(0, 2**12, (HEIGHT, WIDTH, 3))
    twelve[0, 0] = 4095

    def eight(values: np.ndarray, largest: int = 65_535) -> np.ndarray:
        values = np.rint(values * (255 / largest)).astype(np.uint8)
        return values[..., :1].repeat(3, -1) if values.shape[-1] < 3 else values

    says_12 = chunk(b"sBIT", b"\x0c")
    grey = Image.fromarray(samples[..., 0].astype(np.uint16))
    grey_12 = Image.fromarray(twelve[..., 0].astype(np.uint16))
    return [
        PictureFile("16 bits grey.png", png(samples[..., 0], 16, 0), eight(samples[..., :1])),
        PictureFile("16 bits colour.png", png(samples[..., :3], 16, 2), eight(samples[..., :3])),
        PictureFile(
            "16 bits grey and alpha.png",
            png(samples[..., :2], 16, 4),
            on_white(eight(samples[..., :1]), eight(samples[..., 1:2])[..., 0]),
        ),
        PictureFile(
            "16 bits colour and alpha.png",
            png(samples, 16, 6),
            on_white(eight(samples[..., :3]), eight(samples[..., 3:])[..., 0]),
        ),
        PictureFile(
            "12 of 16 bits grey.png",
            png(twelve[..., 0], 16, 0, extra=says_12),
            eight(twelve[..., :1], 4095),
        ),
        PictureFile(
            "12 of 16 bits colour.png",
            png(twelve, 16, 2, extra=chunk(b"sBIT", b"\x0c\x0c\x0c")),
            eight(twelve, 4095),
        ),
        PictureFile(
            "12 bits that fill 16.png",
            png(twelve[..., 0] << 4, 16, 0, extra=says_12),
            eight(twelve[..., :1] << 4),
        ),
        PictureFile(
            "dark 12 bits that fill 16.png",
            png((twelve[..., 0] >> 8) << 4, 16, 0, extra=says_12),
            eight((twelve[..., :1] >> 8) << 4),
        ),
        PictureFile("16 bits black.png", png(0 * twelve[..., 0], 16, 0), np.zeros_like(scene())),
        PictureFile(
            "16 bits grey.tif", saved(grey, "TIFF"), eight(samples[..., :1]), in_graph=False
        ),
        *(
            PictureFile(f"16 bits {name} grey.tif", content, eight(samples[..., :1]), False)
            for name, content in {
                "LZW": saved(grey, "TIFF", compression="tiff_lzw"),
                "deflated": saved(grey, "TIFF", compression="tiff_adobe_deflate"),
                "big-endian": big_endian_tiff(samples[..., 0]),
                "of two pages": saved(grey, "TIFF", save_all=True, append_images=[grey_12]),
            }.items()
        ),
        PictureFile(
            "16 bits negative.tif",
            saved(grey, "TIFF", tiffinfo={262: 0}),
            255 - eight(samples[..., :1]),
            in_graph=False,
        ),
        PictureFile(
            "12 of 16 bits grey.tif",
            saved(grey_12, "TIFF", tiffinfo={281: 4095}),
            eight(twelve[..., :1], 4095),
            in_graph=False,
        ),
        PictureFile(
            "12 bits grey.tif", tiff_of_12_bits(twelve[..., 0]), eight(twelve[..., :1], 4095), False
        ),
    ]


def big_endian_tiff(samples: np.ndarray) -> bytes:
    """A grey TIFF of 16 bits whose numbers begin with their larger byte."""
    height, width = samples.shape
    data = samples.astype(">u2").tobytes()
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    tags[279] = len(data)
    table = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"MM\0*" + struct.pack(">I", 8 + len(data))
    return head + data + struct.pack(">H", len(tags)) + table + bytes(4)


def tiff_of_12_bits(samples: np.ndarray) -> bytes:
    """A grey TIFF whose samples take 12 bits each, as scanners write it."""
    height, width = samples.shape
    bits = (samples[..., None] >> np.arange(11, -1, -1)) & 1
    data = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    data += b"\0" * (len(data) % 2)
    tags = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    tags[279] = len(data)
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"".join(
        [
            b"II*\0" + struct.pack("<I", 8 + len(data)),
            data,
            struct.pack("<H", len(tags)) + table + struct.pack("<I", 0),
        ]
    )


def other_formats() -> list[PictureFile]:
    """What a graph cannot decode, but folders and programs read."""
    colours = scene()
    picture = Image.fromarray(colours)
    few = picture.quantize(16)
    alpha = np.random.default_rng(1).integers(0, 256, colours.shape[:2]).astype(np.uint8)
    with_alpha = Image.fromarray(np.dstack([colours, alpha]))
    lossy = saved(picture, "WEBP")
    moving = {"save_all": True, "append_images": [few.rotate(180)]}
    files = [
        ("lossless.webp", saved(picture, "WEBP", lossless=True), colours),
        ("lossy.webp", lossy, opened(lossy)),
        ("a WebP by another name.jpg", saved(picture, "WEBP", lossless=True), colours),
        (
            "transparent.webp",
            saved(with_alpha, "WEBP", lossless=True, exact=True),
            on_white(colours, alpha),
        ),
        (
            "turned.webp",
            saved(picture, "WEBP", lossless=True, exif=exif(6)),
            turned(colours, 6),
        ),
        ("colour.bmp", saved(picture, "BMP"), colours),
        ("palette.bmp", saved(few, "BMP"), np.asarray(few.convert("RGB"))),
        ("still.gif", saved(few, "GIF"), np.asarray(few.convert("RGB"))),
        ("moving.gif", saved(few, "GIF", **moving), np.asarray(few.convert("RGB"))),
        ("colour.tiff", saved(picture, "TIFF"), colours),
        ("LZW.TIF", saved(picture, "TIFF", compression="tiff_lzw"), colours),
        ("black and white.tif", saved(picture.convert("1"), "TIFF", compression="group4"),
         np.asarray(picture.convert("1").convert("RGB"))),
        *(
            (
                f"orientation {orientation}.tif",
                saved(picture, "TIFF", tiffinfo={274: orientation}),
                turned(colours, orientation),
            )
            for orientation in range(1, 9)
        ),
    ]  # fmt: skip
    return [PictureFile(*file, in_graph=False) for file in files]


def dicoms() -> list[PictureFile]:
    """Radiographs and a photograph."""
    grey = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) % 256
    window = {"WindowCenter": 128, "WindowWidth": 256}
    three = grey[..., None].repeat(3, -1).astype(np.uint8)
    return [
        PictureFile("8 bits grey.dcm", dicom(grey.astype(np.uint8)), three, in_graph=False),
        PictureFile("12 bits grey.dcm", dicom(grey * 16, bits=12), eighth(grey), in_graph=False),
        PictureFile("window grey.dcm", dicom(grey, **window), three, in_graph=False),
        PictureFile("colour.dicom", dicom(scene()), scene(), in_graph=False),
    ]


def eighth(grey: np.ndarray) -> np.ndarray:
    """What 16 times the samples (h, w) become of 12 bits: uint8 (h, w, 3)."""
    return np.rint(grey * (16 * 255 / 4095)).astype(np.uint8)[..., None].repeat(3, -1)
