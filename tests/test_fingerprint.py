"""A step's fingerprint follows the code it runs: not comments, but any module it imports."""

from pathlib import Path

import pytest

from rigsa import fingerprint as module


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
    for function in (module._tree, module._tree_hash, module._imports):
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
    first = module.fingerprint("rigsa.job")
    path = package / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    _forget()
    assert (module.fingerprint("rigsa.job") != first) == changes


def test_a_step_does_not_depend_on_another_one() -> None:
    """Nothing about drawing is behind training, and nothing about training behind masks."""

    def behind(entry: str) -> set[str]:
        found, waiting = set(), [entry]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += module._imports(name)
        return found

    _forget()
    training = behind("rigsa.training.job")
    assert "rigsa.masks.storage" in training
    assert not any(name.startswith(("rigsa.analysis", "rigsa.evaluation")) for name in training)
    assert "rigsa.study" not in training
    masks = behind("rigsa.masks.job")
    assert not any(name.startswith("rigsa.training") for name in masks)
    assert "rigsa.cli" not in behind("rigsa.analysis.collect")
