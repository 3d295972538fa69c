"""CIFAR-10-C's fifteen corruptions, for images of 32 × 32, at its five severities.

The constants are those of Hendrycks and Dietterich, arXiv 1903.12261, for CIFAR-10; their published
images cannot be had here. What takes more than a line is from imagecorruptions-imaug (Apache 2.0),
whose own constants are ImageNet-C's: the disk of defocus, the plasma of fog, the zoom, the streaks
of motion, and frost's photographs. Motion and snow differ a little from the published ones, which
ImageMagick made.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecorruptions.corruptions as made
import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates
from skimage import color, filters, util

SIDE = 32
SEVERITIES = range(1, 6)
Image01 = np.ndarray  # float (32, 32, 3), from 0 to 1
FROST = Path(made.__file__).parent / "frost"


def _gaussian_noise(image: Image01, scale: float) -> Image01:
    return image + np.random.normal(size=image.shape, scale=scale)


def _shot_noise(image: Image01, rate: float) -> Image01:
    return np.random.poisson(image * rate) / rate


def _impulse_noise(image: Image01, amount: float) -> Image01:
    return util.random_noise(image, mode="s&p", amount=amount, rng=np.random.randint(2**31))


def _defocus_blur(image: Image01, told: tuple[float, float]) -> Image01:
    return cv2.filter2D(image, -1, made.disk(radius=told[0], alias_blur=told[1]))


def _blurred(image: Image01, sigma: float) -> Image01:
    return filters.gaussian(image, sigma=sigma, channel_axis=-1)


def _glass_blur(image: Image01, told: tuple[float, int, int]) -> Image01:
    sigma, reach, rounds = told
    shuffled = np.uint8(255 * _blurred(image, sigma))
    for _ in range(rounds):
        for row in range(SIDE - reach, reach, -1):
            for column in range(SIDE - reach, reach, -1):
                right, down = np.random.randint(-reach, reach, size=2)
                # The published images were made so: a neighbour is copied, not exchanged.
                shuffled[row, column] = shuffled[row + down, column + right]
    return _blurred(shuffled / 255, sigma)


def _motion_blur(image: Image01, told: tuple[int, float]) -> Image01:
    radius, sigma = told
    return made._motion_blur(image, radius, sigma, np.random.uniform(-45, 45))


def _zoomed(image: Image01, factor: float) -> Image01:
    larger = made.clipped_zoom(image, factor)
    trim = (len(larger) - SIDE) // 2
    return larger[trim : trim + SIDE, trim : trim + SIDE]


def _zoom_blur(image: Image01, largest: float) -> Image01:
    factors = np.arange(1, largest, 0.01)
    return (image + sum(_zoomed(image, one) for one in factors)) / (len(factors) + 1)


def _snow(image: Image01, told: tuple[float, ...]) -> Image01:
    mean, scale, zoom, least, radius, sigma, kept = told
    flakes = np.random.normal(size=(SIDE, SIDE, 1), loc=mean, scale=scale)
    flakes = _zoomed(flakes, zoom)
    flakes[flakes < least] = 0
    flakes = np.clip(flakes, 0, 1)
    angle = np.random.uniform(-135, -45)
    flakes = made._motion_blur(flakes, int(radius), sigma, angle)
    grey = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)[..., None]
    whiter = kept * image + (1 - kept) * np.maximum(image, 1.5 * grey + 0.5)
    return whiter + flakes + np.rot90(flakes, k=2)


def _frost(image: Image01, told: tuple[float, float]) -> Image01:
    photographs = sorted(FROST.glob("frost*"))[:5]
    photograph = cv2.imread(str(photographs[np.random.randint(len(photographs))]))
    photograph = cv2.resize(photograph, (0, 0), fx=0.2, fy=0.2)[..., ::-1] / 255
    row, column = (np.random.randint(0, size - SIDE) for size in photograph.shape[:2])
    part = photograph[row : row + SIDE, column : column + SIDE]
    return told[0] * image + told[1] * part


def _fog(image: Image01, told: tuple[float, float]) -> Image01:
    weight, decay = told
    largest = image.max()
    plasma = made.plasma_fractal(mapsize=SIDE, wibbledecay=decay)[..., None]
    return (image + weight * plasma) * largest / (largest + weight)


def _brightness(image: Image01, added: float) -> Image01:
    hsv = color.rgb2hsv(image)
    hsv[..., 2] = np.clip(hsv[..., 2] + added, 0, 1)
    return color.hsv2rgb(hsv)


def _contrast(image: Image01, factor: float) -> Image01:
    means = image.mean(axis=(0, 1), keepdims=True)
    return (image - means) * factor + means


def _elastic(image: Image01, told: tuple[float, float, float]) -> Image01:
    strength, sigma, reach = (SIDE * one for one in told)
    centre, size = np.float32([SIDE // 2, SIDE // 2]), SIDE // 3
    corners = centre + np.float32([[size, size], [size, -size], [-size, -size]])
    moved = corners + np.random.uniform(-reach, reach, size=corners.shape).astype(np.float32)
    affine = cv2.getAffineTransform(corners, moved)
    image = cv2.warpAffine(image, affine, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101)
    shifts = [
        strength
        * filters.gaussian(
            np.random.uniform(-1, 1, size=(SIDE, SIDE)), sigma, mode="reflect", truncate=3
        )
        for _ in range(2)
    ]
    rows, columns = np.mgrid[:SIDE, :SIDE]
    places = [rows + shifts[1], columns + shifts[0]]
    channels = [
        map_coordinates(image[..., one], places, order=1, mode="reflect") for one in range(3)
    ]
    return np.stack(channels, axis=-1)


def _pixelate(image: Image01, share: float) -> Image01:
    small = int(SIDE * share)
    picture = Image.fromarray(np.uint8(np.rint(255 * image))).resize((small, small), Image.BOX)
    return np.asarray(picture.resize((SIDE, SIDE), Image.BOX)) / 255


def _jpeg(image: Image01, quality: int) -> Image01:
    file = io.BytesIO()
    Image.fromarray(np.uint8(np.rint(255 * image))).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)) / 255


# By name: the function, and what it is told at each severity.
CORRUPTIONS: dict[str, tuple[Callable[[Image01, Any], Image01], tuple[Any, ...]]] = {
    "gaussian_noise": (_gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot_noise": (_shot_noise, (500, 250, 100, 75, 50)),
    "impulse_noise": (_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "defocus_blur": (_defocus_blur, ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))),
    "glass_blur": (
        _glass_blur,
        ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    ),
    "motion_blur": (_motion_blur, ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))),
    "zoom_blur": (_zoom_blur, (1.06, 1.11, 1.16, 1.21, 1.26)),
    "snow": (
        _snow,
        (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
    ),
    "frost": (_frost, ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))),
    "fog": (_fog, ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))),
    "brightness": (_brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": (_contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "elastic_transform": (
        _elastic,
        ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    ),
    "pixelate": (_pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
    "jpeg_compression": (_jpeg, (80, 65, 58, 50, 40)),
}


def corrupted(images: np.ndarray, name: str, severity: int) -> np.ndarray:
    """Corrupts images, each by random numbers of its own place, of the corruption and severity.

    Args:
        images: float (N, 32, 32, 3), from 0 to 1.
        name: in CORRUPTIONS.
        severity: from 1 to 5.

    Returns:
        float32, in steps of 1/255 as the published images are.
    """
    change, told = CORRUPTIONS[name]
    number = list(CORRUPTIONS).index(name)
    found = []
    for place, image in enumerate(images.astype(np.float64)):
        # The library draws from NumPy's global generator.
        np.random.seed([place, number, severity])
        changed = np.clip(change(image, told[severity - 1]), 0, 1)
        found.append(np.floor(255 * changed) / 255)
    return np.float32(found)
