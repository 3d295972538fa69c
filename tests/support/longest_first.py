"""The order of files, for workers that take one after the other, as `make test` has them do.

What takes long begins first, so that workers end together. Of files that use one fixture of
`made_once` the longest is among them: others find the folder there and do not wait for it.
"""

import pytest

FILES = [
    f"tests/{name}.py"
    for name in (
        "cli/test_programs",
        "attacks/test_attacks",
        "exporting/test_explainer",
        "runs/test_distribution",
        "core/test_networks",
        "cli/test_ray",
        "training/test_keras_contract",
        "exporting/test_saved_model",
        "exporting/test_labels",
        "docs/test_code",
        "exporting/test_decoding",
        "runs/test_loop",
        "datasets/test_catalog",
        "datasets/test_source",
        "cli/test_answers",
        "cli/test_explain",
        "robustness/test_checks",
        "attacks/test_cleverhans",
        "training/test_adversarial",
        "training/test_classifier",
        "serving/test_client",
    )
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For tests/conftest.py. Files that are not named keep their order, after these."""
    places = {config.rootpath / name: place for place, name in enumerate(FILES)}
    items.sort(key=lambda item: places.get(item.path, len(FILES)))
