"""The client of serving/README.md that uses TF Serving's own stubs, against the local server."""

import re
import shutil
from pathlib import Path

import numpy as np

from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings


def test_the_readmes_client(version, root: Path, tmp_path: Path, capsys) -> None:
    text = (root / "serving" / "README.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", text, re.S)
    (snippet,) = [one for one in snippets if "predict_pb2" in one]
    assert "localhost:8500" in snippet
    shutil.copytree(version[1], tmp_path / "fashion_mnist_mini" / "1")
    with Server(tmp_path, Settings(port=0, rest_port=None)) as server:
        program = snippet.replace("localhost:8500", f"127.0.0.1:{server.port}")
        found: dict = {}
        exec(compile(program, "README.md", "exec"), found)
    assert found["predicted"]["logits"].shape == (2, 10)
    names = [f"class {number}".encode() for number in found["predicted"]["class_id"]]
    assert list(found["predicted"]["class_name"]) == names
    explained = found["explained"]
    assert explained["explanation"].shape == (2, 28, 28, 1)
    assert np.all(explained["confidence_after"] > explained["confidence_before"])
    assert names[0].decode() in capsys.readouterr().out
