"""Configuration files that are no configuration at all: each is one sentence, soon."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from rigsa.errors import ConfigError
from rigsa.study import load_study
from rigsa.yaml_file import read_yaml

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in pairwise("abcdefghi")
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{','.join([f'*{old}'] * 10)}]}}\n" for old, new in pairwise("abcdefghi")
)
FILES = [
    ("title: x\narms: [a\nseeds: b: c\n", r":3:\d+: this is not valid YAML"),
    ("title: x\n\tarms: {}\n", r":2:\d+: this is not valid YAML: found character '\\t'"),
    ("title: a\n---\ntitle: b\n", r":2:\d+: this is not valid YAML"),
    ("title: !!python/object/apply:os.system [touch pwned]\n", ":1:.*could not determine a constr"),
    ("title: a\nseeds: [0]\ntitle: b\n", ":3: the key title stands in line 1 already; keep one"),
    ("arms:\n  a: {r: 1, r: 2}\n", ":2: the key r stands in line 2 already"),
    ("arms: {on: {}}\n", ":1: the key on is no text; put it in quotes"),
    ("arms: {1: {}}\n", ":1: the key 1 is no text"),
    ("arms:\n  ? [a, b]\n  : c\n", ":2: the key a list or mapping is no text"),
    ("title: 2024-13-45\n", ": a value cannot be read .*; put it in quotes"),
    (f"seeds: [{'9' * 5000}]\n", ": a value cannot be read"),
    ("- a list\n", "must be a mapping of keys to values"),
    ("", "must be a mapping of keys to values"),
    ("title: a\0b\n", ": character 9 is U\\+0000, which YAML does not allow"),
    (b"title: caf\xe9\n", ": byte 11 is no UTF-8 text; save the file as UTF-8"),
    ("title: " + "[" * 5000, ": its values are nested too deeply"),
    ("title: " + "x" * 1_000_001, ": the file is larger than a megabyte"),
    (LAUGHS, r":5: aliases \(\*\) repeat this into more than 50,000 values"),
    (MERGES, r"aliases \(\*\) repeat this into more than 50,000 values"),
    ("a: &a [*a]\n", r":1: aliases \(\*\) repeat this"),
]


@pytest.mark.parametrize(("text", "sentence"), FILES, ids=[f[1][:40] for f in FILES])
def test_a_file_that_is_no_configuration_is_named(project, text, sentence) -> None:
    path = Path("studies/embedded.yaml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    began = time.monotonic()
    with pytest.raises(ConfigError, match=f"^studies/embedded.yaml{sentence}|{sentence}") as caught:
        load_study("embedded")
    assert time.monotonic() - began < 5
    assert str(caught.value).startswith("studies/embedded.yaml")
    assert str(caught.value).isprintable()
    assert not Path("pwned").exists()


def test_a_folder_in_place_of_a_file_is_said(project) -> None:
    Path("studies/embedded.yaml").unlink()
    Path("studies/embedded.yaml").mkdir()
    with pytest.raises(ConfigError, match="study is 'embedded'; did you mean"):
        load_study("embedded")
    with pytest.raises(ConfigError, match=r"embedded\.yaml: the file cannot be read \(Is a direct"):
        read_yaml(Path("studies/embedded.yaml"))
    with pytest.raises(ConfigError, match="there is no such file"):
        read_yaml(Path("studies/none.yaml"))


def test_anchors_and_merges_stay_usable(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "a: &a {r: 1, s: 2}\nb:\n  <<: *a\n  r: 3\nc: &c\n  <<: *a\n  s: 4\nd: {<<: *c}\n"
    )
    assert read_yaml(path) == {
        "a": {"r": 1, "s": 2},
        "b": {"r": 3, "s": 2},
        "c": {"r": 1, "s": 4},
        "d": {"r": 1, "s": 4},
    }
