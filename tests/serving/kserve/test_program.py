"""The program that KServe's controller starts."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tfrobust.cli import kserve as program
from tfrobust.errors import InputError


def test_it_says_that_the_sdk_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "kserve", None)
    with pytest.raises(InputError, match="expected KServe's SDK; pip install"):
        program.serve(["--model_name", "tiny"])


def test_one_process_serves():
    pytest.importorskip("kserve", reason="needs the extra kserve")
    with pytest.raises(InputError, match="expected --workers 1, got 2"):
        program.serve(["--workers", "2"])


def test_a_missing_model_is_told_in_one_line(tmp_path):
    pytest.importorskip("kserve", reason="needs the extra kserve")
    with pytest.raises(InputError, match=f"expected a folder of versions at {tmp_path}"):
        program.serve(["--model_dir", str(tmp_path)])


def test_it_serves_until_sigterm(models_folder, free_port):
    pytest.importorskip("kserve", reason="needs the extra kserve")
    port = free_port()
    command = [sys.executable, "-m", "tfrobust.cli.kserve", "--model_name", "tiny"]
    command += ["--model_dir", str(models_folder / "tiny"), "--message_bytes", "1000"]
    command += ["--http_port", str(port), "--grpc_port", str(free_port())]
    url = f"http://127.0.0.1:{port}/v1/models/tiny"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as started:
        try:
            while started.poll() is None:
                try:
                    assert b'"ready":true' in urllib.request.urlopen(url, timeout=10).read()
                    break
                except OSError:
                    time.sleep(0.2)
            with pytest.raises(urllib.error.HTTPError, match="413"):
                urllib.request.urlopen(f"{url}:predict", b" " * 1001, timeout=10)
            started.send_signal(signal.SIGTERM)
            assert started.wait(30) == 0
        finally:
            started.kill()


def test_an_explainer_does_not_import_tensorflow():
    pytest.importorskip("kserve", reason="needs the extra kserve")
    code = (
        "import sys, tfrobust.serving.kserve.explainer, tfrobust.serving.kserve.body_limit;"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
