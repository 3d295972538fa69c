"""Networks without XLA, in folders of tests that are not about what it makes of them.

To compile takes half of the time there. That compiled programs give the same is held by
attacks/test_attacks.py, explanations/test_methods.py, core/ and cli/. Where slow tests run, XLA
compiles as it does for users.
"""

import functools
from collections.abc import Iterator
from typing import Any

import pytest

FOLDERS = {"attacks", "certification", "explanations", "metrics", "reports", "robustness"}


@pytest.fixture(autouse=True, scope="module")
def uncompiled(request: pytest.FixtureRequest) -> Iterator[None]:
    """For tests/conftest.py. A module says by COMPILED that it is otherwise than its folder."""
    folder = request.path.relative_to(request.config.rootpath / "tests").parts[0]
    compiled = getattr(request.module, "COMPILED", folder not in FOLDERS)
    if compiled or request.config.option.markexpr != "not slow":
        yield
        return
    from tfrobust.core.classifier import Classifier

    made = Classifier.__init__

    @functools.wraps(made)
    def without(self: Classifier, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        self.compiles = False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "__init__", without)
        yield
