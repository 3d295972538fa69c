"""The processes that Ray began on this machine, to be killed by tests."""

import contextlib

import psutil


def named(word: str) -> list[psutil.Process]:
    """Those with a word in their titles, such as "ray::Worker"."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            if any(word in part for part in process.info["cmdline"] or ()):
                found.append(process)
    return found
