"""What every data set promises, checked in memory, on files and on records."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfrobust import datasets
from tfrobust.datasets import folder as folder_module
from tfrobust.datasets import names
from tfrobust.datasets.files import FileSource
from tfrobust.datasets.records import Records, RecordSource
from tfrobust.datasets.source import DataSource
from tfrobust.errors import InputError

CLASSES = 3
PER_CLASS = 15
BATCH = 8


def picture(label: int, number: int) -> Image.Image:
    pixels = np.random.default_rng((label, number)).integers(0, 256, (12, 12, 3), np.uint8)
    pixels[0, 0] = (label, number, 0)
    return Image.fromarray(pixels)


def write_folder(root: Path) -> str:
    for label in range(CLASSES):
        (root / f"class{label}").mkdir(parents=True)
        for number in range(PER_CLASS):
            picture(label, number).save(root / f"class{label}" / f"{number}.png")
    return f"folder:{root}"


def write_records(root: Path, files: int) -> Records:
    paths = []
    examples: list[list[bytes]] = [[] for _ in range(files)]
    for number in range(CLASSES * PER_CLASS):
        pixels = np.asarray(picture(number % CLASSES, number))
        features = {
            "image": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[tf.io.encode_png(pixels).numpy()])
            ),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % CLASSES])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        examples[number % files].append(example.SerializeToString())
    for part, content in enumerate(examples):
        paths.append(str(root / f"{part}.tfrecord"))
        with tf.io.TFRecordWriter(paths[-1]) as writer:
            for example in content:
                writer.write(example)
    everything = (-1,) * files
    return Records(tuple(paths), (0,) * files, everything, 45, 500, "image", "label")


KINDS = ["memory", "files", "records"]


@pytest.fixture(scope="module", params=KINDS)
def data(request, tmp_path_factory) -> Iterator[DataSource]:
    name = write_folder(tmp_path_factory.mktemp("images"))
    if request.param == "records":
        records = write_records(tmp_path_factory.mktemp("records"), files=4)
        info = datasets.load(name).info
        info = datasets.DatasetInfo(**{**vars(info), "train_images": 45, "test_images": 45})
        yield RecordSource(info, records, records)
        return
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "files":
            patch.setattr(folder_module, "MEMORY_BYTES", 1)
        yield datasets.load(name)


def batches(
    data: DataSource, count: int, **arguments: object
) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(data.train(BATCH, **arguments).take(count).as_numpy_iterator())


def identities(images: np.ndarray) -> list[bytes]:
    return [image.tobytes() for image in images]


@pytest.mark.parametrize(
    ("data", "augmentation"),
    [
        # They share their augmentations, of which "imagenet" draws the most numbers.
        pytest.param(
            kind, name, marks=[pytest.mark.slow] * (kind != "memory" and name != "imagenet")
        )
        for kind in KINDS
        for name in names.AUGMENTATIONS
    ],
    indirect=["data"],
)
def test_resuming_gives_the_same_bits(data, augmentation):
    # Two epochs and a bit: starts inside the first, at a border and inside the second epoch.
    steps = data.steps_per_epoch(BATCH)
    whole = batches(data, 2 * steps + 2, seed=4, augmentation=augmentation)
    for start in (1, steps, steps + 1):
        tf.random.set_seed(start)  # the stream follows its own seed alone
        resumed = batches(data, 3, seed=4, augmentation=augmentation, start_step=start)
        for (images, labels), (again, labels_again) in zip(whole[start:], resumed, strict=False):
            np.testing.assert_array_equal(images, again)
            np.testing.assert_array_equal(labels, labels_again)
    images, labels = whole[0]
    assert images.shape == (BATCH, *data.info.image_shape)
    assert (images.dtype, labels.dtype) == (np.float32, np.int32)
    # Floats in the unit interval.
    assert images.min() >= 0
    assert 0.5 < images.max() <= 1
    assert set(labels) <= set(range(CLASSES))


def test_the_size_of_a_batch_is_told(data):
    spec = data.train(BATCH, seed=0).element_spec
    assert spec[0].shape[1:] == data.info.image_shape


def test_an_epoch_shows_no_image_twice_and_the_next_another_order(data):
    steps = data.steps_per_epoch(BATCH)
    stream = batches(data, 2 * steps, seed=1, augmentation="none")
    epochs = [
        [
            one
            for images, _ in stream[part * steps : (part + 1) * steps]
            for one in identities(images)
        ]
        for part in (0, 1)
    ]
    for epoch in epochs:
        assert len(set(epoch)) == steps * BATCH
    assert epochs[0] != epochs[1]


def test_seeds_differ(data):
    first, second = (batches(data, 1, seed=seed, augmentation="none")[0][0] for seed in (0, 1))
    assert identities(first) != identities(second)


def test_images_keep_their_labels(data):
    if isinstance(data, RecordSource):
        pytest.skip("records are cropped for testing, which removes the marking pixel")
    images, labels = batches(data, 1, seed=0, augmentation="none")[0]
    np.testing.assert_array_equal(np.round(images[:, 0, 0, 0] * 255), labels)


def test_test_images_come_in_a_fixed_order(data):
    everything = list(data.test(BATCH).as_numpy_iterator())
    labels = np.concatenate([labels for _, labels in everything])
    assert len(labels) == data.info.test_images
    assert set(labels[:CLASSES]) == set(range(CLASSES))
    images, first = data.test_arrays(5)
    assert (images.dtype, first.dtype) == (np.float32, np.int32)
    np.testing.assert_array_equal(images, everything[0][0][:5])
    np.testing.assert_array_equal(first, labels[:5])
    assert len(list(data.test(2, limit=5))) == 3
    assert len(list(data.test(2, limit=5, drop_remainder=True))) == 2
    # How many files are readable shows only when they are read, so large folders tell no number.
    known = tf.data.UNKNOWN_CARDINALITY if isinstance(data, FileSource) else 3
    assert int(data.test(2, limit=5).cardinality()) == known
    assert len(data.test_arrays(10**6)[1]) == data.info.test_images


def test_a_sample_has_the_shares_of_the_whole(data):
    everything, labels = data.test_arrays(None)
    total = data.info.test_images
    kwargs = {"draw": "stratified", "seed": 3}
    whole, part = (data.test_sample(count, **kwargs) for count in (None, 4))
    assert sorted(identities(whole.images)) == sorted(identities(everything))
    assert whole.drawn == f"all {total} test images"
    assert part.drawn == f"4 of {total} test images, drawn by label, seed 3"
    # A larger sample begins with a smaller one, and each has its images' labels.
    np.testing.assert_array_equal(part.images, whole.images[:4])
    own = dict(zip(identities(everything), labels, strict=True))
    assert [own[one] for one in identities(whole.images)] == whole.labels.tolist()
    shares = np.bincount(labels, minlength=CLASSES) / total
    for count in range(1, total + 1):
        found = np.bincount(whole.labels[:count], minlength=CLASSES)
        assert np.abs(found - count * shares).max() < 1
    other = data.test_sample(4, draw="stratified", seed=4)
    assert identities(other.images) != identities(part.images)


def test_the_first_images_are_those_of_the_stored_order(data):
    sample = data.test_sample(5, draw="first")
    for found, wanted in zip(sample[:2], data.test_arrays(5), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert sample.drawn == "first 5 test images"
    with pytest.raises(InputError, match="stratified, first; got 'last'"):
        data.test_sample(5, draw="last")


def test_a_folder_is_drawn_from_by_label_and_names_its_files(data):
    sample = data.test_sample(4)
    if isinstance(data, RecordSource):
        assert sample.files == ()
        return
    assert sample.drawn.endswith("drawn by label, seed 0")
    for name, image, label in zip(sample.files, sample.images, sample.labels, strict=True):
        folder, number = name.split("/")
        assert folder == f"class{label}"
        marks = np.rint(image[0, 0] * 255).astype(int)
        assert (marks[0], f"{marks[1]}.png") == (label, number)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 1000, "seed": 0}, "larger than the training set"),
        ({"batch_size": 0, "seed": 0}, "batch_size must be"),
        ({"batch_size": 2.5, "seed": 0}, "batch_size must be"),
        ({"batch_size": 4, "seed": -1}, "seed must be"),
        ({"batch_size": 4, "seed": 2**31}, "seed must be"),
        ({"batch_size": 4, "seed": 0, "start_step": -1}, "start_step must be"),
        ({"batch_size": 4, "seed": 0, "augmentation": "flop"}, "crop_flip.*got 'flop'"),
        ({"batch_size": 4, "seed": 0, "balance": "even"}, "sampling; got 'even'"),
    ],
)
def test_wrong_arguments_are_refused(data, arguments, message):
    with pytest.raises(InputError, match=message):
        data.train(**arguments)


def test_wrong_limits_are_refused(data):
    with pytest.raises(InputError, match=r"limit must be .* at least 1, got 0"):
        data.test_arrays(0)
    with pytest.raises(InputError, match=r"limit must be .* at least 1, got -1"):
        data.test(4, limit=-1)


def test_slices_of_records_take_their_part(tmp_path):
    records = write_records(tmp_path, files=1)
    middle = Records(records.paths, (10,), (20,), 20, 500, "image", "label")
    images, labels = middle.arrays((12, 12, 3))
    np.testing.assert_array_equal(labels, np.arange(10, 30) % CLASSES)
    np.testing.assert_array_equal(images[:, 0, 0, 1], np.arange(10, 30))
