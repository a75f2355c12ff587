"""The command line teaches: every rule's command is there, with help for every argument."""

import re

import pytest

from rigsa.cli import main
from rigsa.steps import STEPS
from tests.conftest import ROOT


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_step_has_help(step, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main([step.name, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert step.help in text
    assert all(argument.options.get("help") for argument in step.arguments)


def test_every_rule_is_one_subcommand() -> None:
    names = {step.name for step in STEPS}
    used = set()
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        used |= set(re.findall(r'"rigsa ([a-z-]+) ', file.read_text()))
    assert used
    assert used <= names


def test_a_spec_is_printed(project_root, capsys) -> None:
    assert main(["spec", "train", "--study", "embedded", "--arm", "rigsa"]) == 0
    assert '"type":"sparse_delta"' in capsys.readouterr().out
    assert main(["spec", "train", "--study", "embedded", "--arm", "rigsaw"]) == 1
    assert "--arm is 'rigsaw'; study embedded has: base," in capsys.readouterr().err
