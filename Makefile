# Two commands for a new user: `make train` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: train test test-slow test-docs test-networks test-kill test-kserve test-gpu docs demo measure \
	bench-training bench-profile bench-gpu bench-scaling bench-penalty bench-input bench-black-box bench-attacks bench-presets \
	bench-explanations bench-attackbench bench-outsider bench-ground-truth bench-dissection bench-explanation-speed bench-serving leaderboard reexport \
	remeasure reproduce install format clean

train: $(VENV)/installed
	$(BIN)/python tools/train.py

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

# Trains the embedded set's robust network and its plain twin, and measures both on 500 test
# images: the figures of the README, and the twin's that `make train` compares with.
measure: $(VENV)/installed
	$(BIN)/python benchmarks/measure.py

# ResNet-44's training steps, beside stock fit and PyTorch's (--torch_python: a Python that has it).
bench-training: $(VENV)/installed
	$(BIN)/python benchmarks/training_speed.py

# Which operators take the time of a training step, against what the cores can multiply.
bench-profile: $(VENV)/installed
	$(BIN)/python benchmarks/step_profile.py

# All that only a GPU can show, in a quarter of an hour: tests, steps, presets, ImageNet's input.
bench-gpu: $(VENV)/installed
	$(BIN)/python benchmarks/gpu.py

# How time and memory grow with images, classes, their size and workers.
bench-scaling: $(VENV)/installed
	$(BIN)/python benchmarks/scaling.py

# The penalty's variants, trained for the same time and attacked.
bench-penalty: $(VENV)/installed
	$(BIN)/python benchmarks/penalty_options.py

bench-input: $(VENV)/installed
	$(BIN)/python benchmarks/input_speed.py

# The presets beside the paper's attack: area against gradients, on ../shared/reference.
bench-presets: $(VENV)/installed
	$(BIN)/python benchmarks/ara_presets.py

# Attacks that are given logits only, against those by gradients, on shipped networks.
bench-black-box: $(VENV)/installed
	$(BIN)/python benchmarks/black_box.py

# Our attacks against Foolbox's DDN (pip install ".[foolbox]") and CleverHans' Carlini-Wagner.
bench-attacks: $(VENV)/installed
	$(BIN)/python benchmarks/attack_speed.py

# Our attacks and those of four PyTorch libraries by AttackBench's protocol, in an environment of
# their own: torchvision, which two of the libraries name, is not used, and cannot be imported
# beside PyTorch's CPU build.
bench-attackbench: $(VENV)-attackbench/installed
	$(VENV)-attackbench/bin/python benchmarks/attackbench.py

# Networks as an outsider measures them: AutoAttack, corruptions, calibration, certificates.
bench-outsider: $(VENV)-attackbench/installed
	$(VENV)-attackbench/bin/python benchmarks/outsider.py

$(VENV)-attackbench/installed: setup.cfg pyproject.toml
	test -x $(VENV)-attackbench/bin/python || $(PYTHON) -m venv $(VENV)-attackbench
	$(VENV)-attackbench/bin/python -m pip install --quiet torch==2.13.0 numba scikit-learn \
		--config-settings editable_mode=compat --editable .
	$(VENV)-attackbench/bin/python -m pip install --quiet --no-deps adv-lib==0.2.8 \
		torchattacks==3.5.1 foolbox==3.3.4 eagerpy gitpython gitdb smmap \
		adversarial-robustness-toolbox==1.20.1 imagecorruptions-imaug==1.1.5 \
		scikit-image imageio tifffile
	touch $@

# Explanations' fidelity and attacks on their maps, on the two networks of `make measure`.
bench-explanations: $(VENV)/installed
	$(BIN)/python benchmarks/explanations.py

# Whether explanations find planted lesions and a planted short cut, also under attack.
bench-ground-truth: $(VENV)/installed
	$(BIN)/python benchmarks/ground_truth.py

# Which units of robust and of plain networks see which concepts, planted and real.
bench-dissection: $(VENV)/installed
	$(BIN)/python benchmarks/dissection.py

# g_explain+ beside PyTorch's (--torch_python: a Python that has it) and tf-explain's methods.
bench-explanation-speed: $(VENV)/installed
	$(BIN)/python benchmarks/explanation_speed.py

# The local server under load, on the shipped embedded network.
bench-serving: $(VENV)/installed
	$(BIN)/python benchmarks/serving.py --model saved_models/fashion_mnist_mini

# saved_models/README.md from the cards of what is shipped.
leaderboard: $(VENV)/installed
	$(BIN)/python benchmarks/leaderboard.py

# The shipped networks' graphs anew, as this version exports them; weights and figures stay.
reexport: $(VENV)/installed
	$(BIN)/python benchmarks/reexport.py

# The shipped networks' figures anew, by the present attacks; weights and graphs stay: two hours.
remeasure: $(VENV)/installed
	$(BIN)/python benchmarks/remeasure.py

# Every figure of the README from scratch, the old beside the new: hours.
reproduce: $(VENV)/installed
	$(BIN)/python benchmarks/reproduce.py

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

# Every code block of README and docs, also those that take minutes.
test-docs: $(VENV)/installed
	$(BIN)/python -m pytest tests/docs -m "slow or not slow"

# The documentation site, into site/; needs no network, and any warning is an error.
docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# What the demo page and some tests need from npm: onnxruntime-web, and axe, which looks at pages.
demo:
	npm install --no-save --no-package-lock --ignore-scripts --silent onnxruntime-web@1.30.0 axe-core@4.12.1
	mkdir -p docs/demo/onnxruntime
	cp node_modules/onnxruntime-web/dist/ort.wasm.min.js docs/demo/onnxruntime/
	cp node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.mjs docs/demo/onnxruntime/
	cp node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm docs/demo/onnxruntime/

# KServe's SDK wants older protobuf and pandas than the other tests run with.
test-kserve:
	test -x $(VENV)-kserve/bin/python || $(PYTHON) -m venv $(VENV)-kserve
	$(VENV)-kserve/bin/python -m pip install --quiet --config-settings editable_mode=compat \
		--editable ".[dev,kserve]"
	$(VENV)-kserve/bin/python -m pytest tests/serving/kserve tests/deployment/test_kserve.py

# What only a GPU can show; skips where there is none.
test-gpu: $(VENV)/installed
	$(BIN)/python -m pytest -m gpu -rs -s

# Exports EfficientNetB0, MobileNetV3Small, ConvNeXtTiny, ResNet50 and a vision transformer.
test-networks: $(VENV)/installed
	$(BIN)/python -m pytest tests/exporting/test_applications.py -m slow

# Kills a training twenty times at random moments: it must end in the same bytes.
test-kill: $(VENV)/installed
	$(BIN)/python -m pytest tests/runs/test_kill.py -m "slow or not slow"

install: $(VENV)/installed

# Remade when what is to be installed changes.
$(VENV)/installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --config-settings editable_mode=compat --editable ".[dev]"
	touch $@

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(VENV)-kserve $(VENV)-attackbench build site *.egg-info .import_linter_cache .pytest_cache .mypy_cache .ruff_cache
