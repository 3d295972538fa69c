"""Measures the input pipeline for ImageNet: images a second and core, and what its crop saves.

    make bench-input              # or: python benchmarks/input_speed.py --data_dir /data/tfds

Two processes of one thread each take turns over the same photographs, in batches of 224 × 224 with
random windows and flips. "fused" is the package's stream, which decodes only the window of a JPEG.
"naive" decodes the whole picture and cuts the same window out of it. The photographs are the 1,000
of ../shared/tfds by default. Without photographs nothing runs.

Prints a table, and writes benchmarks/results/input_speed.json.
"""

import argparse
import contextlib
import sys
from pathlib import Path

import turns

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared" / "tfds"
KINDS = ("fused", "naive")
BATCH, SIZE = 32, 224


def serve(kind: str, data_dir: str) -> None:
    """One process: batches when asked for them."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from tfrobust import datasets
    from tfrobust.datasets import records
    from tfrobust.datasets.augment import cut, random_window, resize

    if kind == "naive":

        def whole_then_cut(
            encoded: tf.Tensor, channels: int, size: tuple[int, int], seed: tf.Tensor
        ) -> tf.Tensor:
            image = tf.io.decode_jpeg(encoded, channels)
            shape = tf.shape(image)
            return resize(cut(image, random_window(shape[0], shape[1], seed)), size)

        records.crop_of_jpeg = whole_then_cut
    source = datasets.load("imagenet2012", data_dir=data_dir, image_size=SIZE)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    stream = iter(source.train(BATCH, seed=0, augmentation="imagenet").with_options(options))
    first = next(stream)[0].numpy()
    facts = {"mean": float(first.mean()), "versions": {"tensorflow": tf.__version__}}
    turns.serve(turns.timed(lambda: next(stream)[0].numpy()), facts)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default=str(SHARED), help="of TensorFlow Datasets")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--batches", type=int, default=8, help=f"a turn, of {BATCH} images")
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "input_speed.json", help="JSON"
    )
    flags = parser.parse_args()
    for name in ("rounds", "batches"):
        if getattr(flags, name) < 1:
            parser.error(f"expected --{name} of at least 1, got {getattr(flags, name)}")
    if flags.serve:
        serve(flags.serve, flags.data_dir)
        return
    if not (Path(flags.data_dir) / "imagenet2012").is_dir():
        sys.exit(f"left out: there is no imagenet2012 in {flags.data_dir}")
    machine = turns.machine()
    with contextlib.ExitStack() as stack:
        workers = {
            kind: stack.enter_context(
                turns.Worker(
                    [sys.executable, __file__, f"--serve={kind}", f"--data_dir={flags.data_dir}"]
                )
            )
            for kind in KINDS
        }
        means = [worker.facts["mean"] for worker in workers.values()]
        # The same windows of the same pictures, up to how a decoder treats a window's edge.
        if abs(means[0] - means[1]) > 1e-3:
            sys.exit(f"expected both to give the same images, got means {means}")
        for number in range(flags.rounds):
            for kind in KINDS[:: -1 if number % 2 else 1]:
                workers[kind].turn(flags.batches)
    found = {kind: turns.summary(worker) for kind, worker in workers.items()}
    for kind in KINDS:
        found[kind]["images_per_s"] = round(BATCH / found[kind]["step_s"], 1)
        found[kind]["images_per_cpu_s"] = round(BATCH / found[kind]["cpu_s"], 1)
    faster = turns.ratio(workers["naive"], workers["fused"])
    by_cpu = turns.ratio(workers["naive"], workers["fused"], cpu=True)
    print("| pipeline | images/s | images per CPU second |\n| --- | --- | --- |")
    for kind in KINDS:
        print(f"| {kind} | {found[kind]['images_per_s']} | {found[kind]['images_per_cpu_s']} |")
    print(
        f"\nnaive / fused: {faster['median']} [{faster['low']}, {faster['high']}] of the time over "
        f"rounds, {by_cpu['median']} of the CPU time"
    )
    results = {
        "command": f"python benchmarks/input_speed.py --rounds {flags.rounds} "
        f"--batches {flags.batches}",
        "images": f"photographs of imagenet2012, {SIZE} × {SIZE}, one thread",
        "machine": machine,
        "pipelines": found,
        "naive_to_fused": {"time": faster, "cpu": by_cpu},
    }
    turns.write(flags.output, results)
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
