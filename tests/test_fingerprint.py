"""A step's fingerprint follows the code it runs: not comments, but any module it imports."""

from pathlib import Path

import pytest

from rigsa import fingerprint as module
from rigsa.behind import REPLAY, behind


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of three modules: job imports part inside a function; other stands alone."""
    files = {
        "__init__.py": "",
        "job.py": '"""Job."""\ndef run():\n    from rigsa.part import add\n    return add(1)\n',
        "part.py": "def add(x):\n    # one more\n    return x + 1\n",
        "other.py": "VALUE = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    _forget()
    yield tmp_path
    _forget()


def _forget() -> None:
    for function in (module._behind, module._tree, module._tree_hash, module._imports):
        function.cache_clear()


@pytest.mark.parametrize(
    ("file", "before", "after", "changes"),
    [
        ("part.py", "x + 1", "x + 2", True),
        ("part.py", "# one more", "# and another", False),
        ("part.py", "return x + 1", "return x  +  1", False),
        ("job.py", '"""Job."""', '"""What it does."""', False),
        ("job.py", "add(1)", "add(2)", True),
        ("other.py", "1", "2", False),
    ],
)
def test_what_changes_it(package: Path, file: str, before: str, after: str, changes: bool) -> None:
    first = module.code_behind("rigsa.job")
    path = package / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    _forget()
    assert (module.code_behind("rigsa.job") != first) == changes


def test_a_step_does_not_depend_on_another_one() -> None:
    """Nothing about drawing is behind training, and nothing about training behind masks."""

    _forget()
    # Replay words its items as evaluations do; it is behind those trainings that have any.
    training = module.code_behind("rigsa.training.job", without=(REPLAY,))
    assert "rigsa.masks.storage" in training
    assert not any(name.startswith(("rigsa.analysis", "rigsa.evaluation")) for name in training)
    assert "rigsa.study" not in training
    assert "rigsa.paths" not in training  # it names places, and decides no number
    masks = module.code_behind("rigsa.masks.job")
    assert not any(name.startswith("rigsa.training") for name in masks)
    assert "rigsa.cli" not in module.code_behind("rigsa.analysis.collect")


def test_training_is_behind_the_masks_that_are_chosen_after_some() -> None:
    _forget()
    settings = {"rule": "grad", "adapter": {"type": "sparse_delta"}}
    plain, warmed = (
        behind("select_mask", settings),
        behind("select_mask", settings | {"warmup": {}}),
    )
    layer, trainer = "rigsa.adapters.sparse_delta.layer", "rigsa.training.trainer"
    assert layer in plain
    assert trainer not in plain
    # PEFT's own LoRA warms up, whatever the mask is for.
    assert trainer in warmed
    assert layer not in warmed


def test_of_a_table_only_the_used_entry_is_behind_a_job(package: Path) -> None:
    """The rest of the table, and what is imported for it, may change."""
    text = "from rigsa import other, part\nTABLE = {'a': part.add, 'b': other.VALUE}\n"
    (package / "job.py").write_text(text)

    def of(entry: str) -> dict[str, str]:
        _forget()
        return module.code_behind("rigsa.job", only={"rigsa.job": entry})

    first, second = of("a"), of("b")
    assert ("rigsa.part" in first, "rigsa.other" in first) == (True, False)
    assert second["rigsa.job"] != first["rigsa.job"]
    (package / "job.py").write_text(text.replace("other.VALUE", "other.VALUE + 1"))
    assert of("a") == first
    assert of("b") != second


def test_code_that_is_imported_and_not_run_can_be_left_out(package: Path) -> None:
    assert "rigsa.part" not in module.code_behind("rigsa.job", without=("rigsa.part",))
