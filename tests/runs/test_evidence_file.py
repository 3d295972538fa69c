"""Evidence files: what they say, and that no change goes unnoticed."""

import dataclasses
import hashlib
import html
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import tfrobust
from tfrobust.core.ara import accuracy_robustness_area
from tfrobust.core.provenance import file_hashes
from tfrobust.errors import InputError
from tfrobust.reports.evidence_file import EvidenceFile, Made, evidence_page
from tfrobust.runs.evidence_file import gather, refuse_other_answers, write
from tfrobust.runs.evidence_verification import verify

COMPILED = False  # figures are the same without XLA
COUNT, SIDE, CLASSES = 24, 6, ("benign", "<b>злокачественный</b>", "悪性")
MADE = Made(by="A. Nonymous", at="2026-11-27T02:00:00+00:00", command="evidence.py --model model",
            versions={"tfrobust": "0.2.0", "numpy": "2"}, code="ab" * 32)  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model/, data/, run/ and ara.json of a small network, and the evidence of them."""
    folder = tmp_path_factory.mktemp("evidence")
    for name in ("model", "data", "run"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (COUNT, SIDE, SIDE, 1), np.uint8)
    files = [f"patient{number // 2}_{number}.png" for number in range(COUNT)]
    for name, image in zip(files, pixels, strict=True):
        Image.fromarray(image[..., 0]).save(folder / "data" / name)
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [keras.Input((SIDE, SIDE, 1)), keras.layers.Flatten(), keras.layers.Dense(len(CLASSES))]
    )
    network.save(folder / "model" / "network.keras")
    recipe = {"data": {"name": "folder:data", "fit": "crop"}}
    card = {"name": "tiny", "version": 1, "date": "2026-11-26", "classes": CLASSES,
            "input": {"fit": "crop", "bits": None}, "provenance": "noise", "recipe": recipe,
            "packages": {"keras": "3"}, "limits": ["It classifies <noise>."]}  # fmt: skip
    (folder / "model" / "model_card.json").write_text(json.dumps(card, ensure_ascii=False))
    content = {"config": recipe, "data": {"digest": "cd" * 32}, "command": "train.py", "schema": 2}
    (folder / "run" / "config.json").write_text(json.dumps(content))
    (folder / "run" / "metrics.csv").write_text("step,loss\n1,2.0\n")
    images = pixels.astype(np.float32) / 255
    answers = np.asarray(network(images)).argmax(axis=1)
    labels = np.where(rng.random(COUNT) < 0.8, answers, (answers + 1) % len(CLASSES))
    report = tfrobust.evaluate(
        network, images, labels, preset="fast", name="tiny", data="noise", class_names=CLASSES,
        files=files, groups=[f"hospital <{number % 2}>" for number in range(COUNT)], progress=False,
    )  # fmt: skip
    report.to_json(folder / "ara.json")
    sources = sources_in(folder)
    refuse_other_answers(sources)
    write(gather(sources, folder, MADE), folder / "evidence.json")
    return folder


def sources_in(folder: Path) -> dict[str, Path]:
    names = {"model": "model", "report": "ara.json", "run": "run", "data": "data"}
    return {name: folder / place for name, place in names.items()}


def test_what_it_says(original: Path) -> None:
    found = EvidenceFile.from_json(original / "evidence.json")
    report = tfrobust.robustness.AraReport.from_json(original / "ara.json")
    said = report.predictions
    right = said.predicted == said.labels
    assert (found.attack_ara, found.btr_ara) == (report.attack_ara, report.btr_ara)
    as_it_is = found.performance.sizes[0]
    assert as_it_is.accuracy.value == pytest.approx(right.mean())
    for part in found.performance.by_class:
        assert part.accuracy.value == pytest.approx(
            right[said.labels == CLASSES.index(part.name)].mean()
        )
    assert [part.name for part in found.performance.by_group] == ["hospital <0>", "hospital <1>"]
    assert set(found.files["data"]) == set(said.files)
    network = (original / "model" / "network.keras").read_bytes()
    assert found.files["model"]["network.keras"] == hashlib.sha256(network).hexdigest()
    assert set(found.files["run"]) == {"config.json", "metrics.csv"}
    assert found.training["run"]["data"] == {"digest": "cd" * 32}
    assert "It classifies <noise>." in found.limits


def test_the_page_is_escaped_and_asks_for_nothing(original: Path) -> None:
    text = (original / "evidence.html").read_text()
    for name in (CLASSES[1], "It classifies <noise>.", "hospital <0>"):
        assert name not in text and html.escape(name) in text
    assert "src=" not in text and "href=" not in text
    assert "Article\n15" in text and "no\nconformity" in text


def test_it_holds_where_it_was_made_and_where_all_of_it_was_moved(
    original: Path, tmp_path: Path
) -> None:
    assert verify(original / "evidence.json", MADE) == verify_of(original)
    assert not verify_of(original).broken and not verify_of(original).notes
    shutil.copytree(original, tmp_path / "moved")
    assert not verify_of(tmp_path / "moved").broken
    other = dataclasses.replace(MADE, versions={**MADE.versions, "numpy": "3"}, code="ef" * 32)
    notes = verify(original / "evidence.json", other).notes
    assert notes == (
        "versions.numpy: made with '2', and verified with '3'",
        f"code: made with {'ab' * 32!r}, and verified with {'ef' * 32!r}",
    )


def verify_of(folder: Path, **options: Any) -> Any:
    return verify(folder / "evidence.json", MADE, **options)


def rewrite(folder: Path, change: Callable[[dict], None], *, page: bool = True) -> None:
    """Changes the JSON, and the page with it as its maker would write it."""
    path = folder / "evidence.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False))
    if page:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        text = evidence_page(EvidenceFile.from_json(path), digest)
        path.with_suffix(".html").write_text(text)


def rehash(folder: Path, source: str, place: str) -> None:
    """Says in the evidence what the hashes of a source are now."""
    rewrite(folder, lambda values: values["files"].update({source: file_hashes(folder / place)}))


def numbers_in(values: Any, place: tuple = ()) -> list[tuple]:
    """The places of all numbers."""
    if isinstance(values, dict):
        return [one for name in values for one in numbers_in(values[name], (*place, name))]
    if isinstance(values, list):
        return [
            one
            for number, inner in enumerate(values)
            for one in numbers_in(inner, (*place, number))
        ]
    is_number = isinstance(values, int | float) and not isinstance(values, bool)
    return [place] if is_number and place[0] not in ("schema",) else []


def set_at(values: Any, place: tuple, change: Callable[[Any], Any]) -> None:
    for name in place[:-1]:
        values = values[name]
    values[place[-1]] = change(values[place[-1]])


def flipped_byte(folder: Path, rng: np.random.Generator) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[rng.integers(len(files))]
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(bytes(content))


def other_image(folder: Path, rng: np.random.Generator) -> None:
    first, second = rng.choice(sorted((folder / "data").iterdir()), 2, replace=False)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    if rng.random() < 0.5:
        second.write_bytes(kept)


def other_pixel(folder: Path, rng: np.random.Generator) -> None:
    """Of an image, whose hash is then said anew."""
    path = rng.choice(sorted((folder / "data").iterdir()))
    pixels = np.array(Image.open(path))
    pixels[tuple(rng.integers(SIDE, size=2))] ^= 255
    Image.fromarray(pixels).save(path)
    rehash(folder, "data", "data")


def file_gone_or_more(folder: Path, rng: np.random.Generator) -> None:
    place = folder / ["data", "model", "run"][rng.integers(3)]
    path = rng.choice(sorted(place.iterdir()))
    way = rng.integers(2) if place.name == "run" else rng.integers(3)
    if way == 0:
        path.unlink()
    elif way == 1:
        path.rename(path.with_name(f"x{path.name}"))
    else:
        shutil.copy(path, path.with_name(f"more-{path.name}"))


def other_weights(folder: Path, rng: np.random.Generator) -> None:
    """Of the network, whose hash is then said anew."""
    path = folder / "model" / "network.keras"
    network = keras.saving.load_model(path)
    network.set_weights([one + rng.normal(0, 0.1, one.shape) for one in network.get_weights()])
    network.save(path)
    rehash(folder, "model", "model")


def number_in_the_json(folder: Path, rng: np.random.Generator) -> None:
    """A figure, in the JSON and in the page alike."""

    def change(values: dict) -> None:
        places = numbers_in(values)
        step = float(rng.choice([-0.01, 0.003, 0.2]))
        set_at(
            values,
            places[rng.integers(len(places))],
            lambda old: old + (1 if isinstance(old, int) else step),
        )

    rewrite(folder, change, page=bool(rng.random() < 0.8))


def word_in_the_json(folder: Path, rng: np.random.Generator) -> None:
    changes = [
        lambda values: values["limits"].pop(int(rng.integers(len(values["limits"])))),
        lambda values: values["checks"].pop(next(iter(values["checks"]))),
        lambda values: values["checks"].update({"more": ["all is well"]}),
        lambda values: values["measurement"].update({"only a trial": True}),
        lambda values: values["measurement"].update({"attacks": ["AutoAttack"]}),
        lambda values: values["measurement"]["versions"].update({"tensorflow": "9.9"}),
        lambda values: values["training"].update({"provenance": "a hospital's radiographs"}),
        lambda values: values["training"]["run"].update({"started": "yesterday"}),
        lambda values: values["training"]["recipe"]["data"].update({"name": "folder:other"}),
        lambda values: values["network"].update({"version": 2}),
        lambda values: values["performance"]["by_class"].reverse(),
        lambda values: values["performance"]["by_group"].pop(),
        lambda values: values["performance"]["by_class"][0].update({"name": "malign"}),
        lambda values: values["sources"].pop("data"),
        lambda values: values["files"]["data"].popitem(),
    ]
    rewrite(folder, changes[rng.integers(len(changes))])


def hash_in_the_json(folder: Path, rng: np.random.Generator) -> None:
    def change(values: dict) -> None:
        files = values["files"][rng.choice(list(values["files"]))]
        files[rng.choice(list(files))] = "0" * 64

    rewrite(folder, change)


def version_in_the_json(folder: Path, rng: np.random.Generator) -> None:
    name = str(rng.choice(["versions", "code"]))
    rewrite(
        folder,
        lambda values: values["made"].update(
            {name: {**MADE.versions, "numpy": "1"} if name == "versions" else "00" * 32}
        ),
    )


def form_of_the_json(folder: Path, rng: np.random.Generator) -> None:
    path = folder / "evidence.json"
    text = path.read_text()
    others = [
        text + "\n",
        text.replace("\n", "\n "),
        text.replace('"made"', '"note": "approved",\n "made"', 1),
        text.replace('"btr_ara"', '"btr_ara": {}, "btr_ara"', 1),
        text.replace('"schema": 3', '"schema": 4'),
        json.dumps(json.loads(text)),
    ]
    path.write_text(others[rng.integers(len(others))])


def page_alone(folder: Path, rng: np.random.Generator) -> None:
    path = folder / "evidence.html"
    text = path.read_text()
    area = EvidenceFile.from_json(folder / "evidence.json").attack_ara
    others = [
        text.replace(str(area), "0.9 [0.8, 1.0] (24 images)"),
        text.replace("</body>", "<script>alert(1)</script></body>"),
        text.replace("no\nconformity", "full conformity"),
        text.replace("A. Nonymous", "B. Nonymous"),
        text + " ",
    ]
    path.write_text(others[rng.integers(len(others))])
    if rng.random() < 0.2:
        path.unlink()


def figure_of_the_report(folder: Path, rng: np.random.Generator) -> None:
    """In ara.json, whose hash is then said anew, and perhaps in the evidence too."""
    path = folder / "ara.json"
    values = json.loads(path.read_text())
    row = int(rng.integers(COUNT))
    changes: list[Callable[[], None]] = [
        lambda: set_at(values, ("attack_ara", "value"), lambda old: old * 1.1),
        lambda: set_at(values, ("btr_ara", "high"), lambda old: old * 1.1),
        lambda: set_at(values, ("clean_accuracy",), lambda old: old / 2),
        lambda: set_at(values, ("attack_rmse", row), lambda old: 2 * old + 0.01),
        lambda: set_at(values, ("btr_rmse", row), lambda old: 2 * old + 0.01),
        lambda: set_at(values, ("predictions", "labels", row), lambda old: (old + 1) % 3),
        lambda: set_at(values, ("predictions", "predicted", row), lambda old: (old + 1) % 3),
        lambda: set_at(values, ("attacks", 0, "rmse", row), lambda old: (old or 0) + 0.5),
        lambda: set_at(values, ("warnings",), lambda old: [*old, "fine"]),
        lambda: set_at(values, ("attack_median",), lambda old: 1.0),
        lambda: set_at(values, ("versions", "keras"), lambda old: "4"),
        lambda: set_at(values, ("image_hash",), lambda old: "ab" * 32),
        lambda: set_at(values, ("predictions", "probabilities", row), lambda old: old[::-1]),
    ]
    kind = int(rng.integers(len(changes)))
    changes[kind]()
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False))
    rehash(folder, "report", "ara.json")
    if kind == 0 and rng.random() < 0.5:
        told = values["attack_ara"]
        rewrite(folder, lambda one: one.update({"attack_ara": told}))


KINDS = [
    (flipped_byte, 20), (other_image, 8), (other_pixel, 3), (file_gone_or_more, 8),
    (other_weights, 3), (number_in_the_json, 15), (word_in_the_json, 15), (hash_in_the_json, 4),
    (version_in_the_json, 3), (form_of_the_json, 5), (page_alone, 6), (figure_of_the_report, 13),
]  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def unnoticed(original: Path, folder: Path, kinds: list[tuple[Callable, int]]) -> list[str]:
    """Tampers with copies; → those of which a verification says nothing."""
    missed, number = [], 0
    for tamper, count in kinds:
        for _ in range(count):
            copy = folder / str(number)
            shutil.copytree(original, copy)
            tamper(copy, np.random.default_rng(number))
            assert contents(copy) != contents(original)
            try:
                found = verify_of(copy)
                noticed = bool(found.broken or found.notes)
            except InputError:
                noticed = True
            if not noticed:
                missed.append(f"{number}: {tamper.__name__}")
            number += 1
    return missed


def test_each_kind_of_tampering_is_noticed(original: Path, tmp_path: Path) -> None:
    assert not unnoticed(original, tmp_path, [(tamper, 1) for tamper, _ in KINDS])


@pytest.mark.slow
def test_a_hundred_tampered_copies_are_all_noticed(original: Path, tmp_path: Path) -> None:
    assert sum(count for _, count in KINDS) == 103
    assert not unnoticed(original, tmp_path, KINDS)


def rewrite_report(folder: Path, change: Callable[[dict], None]) -> None:
    """Changes ara.json, and says its hash anew."""
    path = folder / "ara.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False))
    rehash(folder, "report", "ara.json")


def with_one_more_source(folder: Path) -> None:
    def change(values: dict) -> None:
        values["sources"]["audit"] = "model"
        values["files"]["audit"] = values["files"]["model"]

    rewrite(folder, change)


def without_the_report(folder: Path) -> None:
    rewrite(folder, lambda values: values["sources"].pop("report"))


def of_images_that_are_not_hashed(folder: Path) -> None:
    shutil.copytree(folder / "data", folder / "others")
    rewrite_report(
        folder,
        lambda values: values["predictions"].update(
            files=[f"../others/{name}" for name in values["predictions"]["files"]]
        ),
    )


def with_the_weights_behind_a_link(folder: Path) -> None:
    shutil.copytree(folder / "model", folder / "others")
    (folder / "model" / "more").symlink_to("../others")


def larger_than_an_attack_found(folder: Path) -> None:
    """The area follows from the sizes, but one attack found smaller ones."""

    def change(values: dict) -> None:
        sizes = [None if size is None else 2 * size for size in values["btr_rmse"]]
        values["btr_rmse"] = sizes
        found = [np.inf if size is None else size for size in sizes]
        area = accuracy_robustness_area(
            np.array(found), 3, groups=values["predictions"]["groups"], seed=values["seed"]
        )
        values["btr_ara"] = dataclasses.asdict(area)
        values["btr_median"] = None if np.isinf(np.median(found)) else float(np.median(found))

    rewrite_report(folder, change)
    told = json.loads((folder / "ara.json").read_text())["btr_ara"]
    rewrite(folder, lambda values: values.update(btr_ara=told))


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (with_one_more_source, "expected the sources model, report"),
        (without_the_report, "got model, run, data"),
        (of_images_that_are_not_hashed, r"24 are not there, the first is \.\./others"),
        (with_the_weights_behind_a_link, "but more is a link to a folder"),
        (larger_than_an_attack_found, "contradicts itself in: btr_rmse"),
    ],
)
def test_evidence_that_would_fool_is_told(
    original: Path, tmp_path: Path, tamper: Callable[[Path], None], message: str
) -> None:
    shutil.copytree(original, tmp_path / "forged")
    tamper(tmp_path / "forged")
    broken = " ".join(verify_of(tmp_path / "forged").broken)
    assert re.search(message, broken), broken


def test_who_made_it_rests_on_the_fingerprint(original: Path, tmp_path: Path) -> None:
    """What follows from no file can be written anew, with a page that fits."""
    told = hashlib.sha256((original / "evidence.json").read_bytes()).hexdigest()
    assert not verify_of(original, fingerprint=told.upper()).broken
    shutil.copytree(original, tmp_path / "forged")
    rewrite(tmp_path / "forged", lambda values: values["made"].update({"by": "A notified body"}))
    assert not verify_of(tmp_path / "forged").broken
    (broken,) = verify_of(tmp_path / "forged", fingerprint=told).broken
    assert "not the one that was told" in broken


def test_numbers_that_json_does_not_have_are_refused_in_words(
    original: Path, tmp_path: Path
) -> None:
    shutil.copytree(original, tmp_path / "other")
    sources = sources_in(tmp_path / "other")
    for source, file, name in (
        ("run", "config.json", "seconds"),
        ("model", "model_card.json", "figures"),
    ):
        path = sources[source] / file
        kept = path.read_text()
        path.write_text(json.dumps({**json.loads(kept), name: float("nan")}))
        with pytest.raises(InputError, match=rf"{file}.*(NaN|JSON compliant)"):
            gather(sources, tmp_path, MADE)
        path.write_text(kept)


def test_what_contradicts_itself_is_not_gathered(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original, tmp_path / "other")
    sources = sources_in(tmp_path / "other")
    path = sources["report"]
    values = json.loads(path.read_text())
    values["clean_accuracy"] = 1.0
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False))
    with pytest.raises(InputError, match="contradicts itself in: clean_accuracy"):
        gather(sources, tmp_path, MADE)
    shutil.copy(original / "ara.json", path)
    card = json.loads((sources["model"] / "model_card.json").read_text())
    card["classes"] = ["a", "b", "c"]
    (sources["model"] / "model_card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="their classes differ"):
        gather(sources, tmp_path, MADE)
    shutil.copy(original / "model" / "model_card.json", sources["model"])
    content = json.loads((sources["run"] / "config.json").read_text())
    content["config"]["data"]["fit"] = "letterbox"
    (sources["run"] / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="of the run that the model card tells of"):
        gather(sources, tmp_path, MADE)
