"""What this project's code never does: unpickle, run text as code, or leave a shell a choice."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("benchmarks/*.py")])
RULES = [ROOT / "Snakefile", *sorted(ROOT.glob("workflow/rules/*.smk"))]
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
SAFE_LOADERS = {"yaml.SafeLoader", "TaskLoader"}  # the second is a SafeLoader, too
# What a command of a rule holds without quotes: numbers, and names of this package's own.
UNQUOTED = {"threads", "wildcards.table", "wildcards.figure"}


def name_of(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def keywords(call: ast.Call) -> dict[str, str]:
    return {word.arg: ast.unparse(word.value) for word in call.keywords if word.arg}


def faults(tree: ast.AST) -> Iterator[str]:
    """Every place of the tree that reads or runs more than it should."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names]
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            yield from (m for m in modules if m.split(".")[0] in FORBIDDEN_MODULES)
        if isinstance(node, ast.Call):
            called, given = name_of(node.func), keywords(node)
            yield from _call_faults(called, given, node)


def _call_faults(called: str, given: dict[str, str], node: ast.Call) -> Iterator[str]:
    last = called.split(".")[-1]
    if called in FORBIDDEN_CALLS or last in ("read_pickle", "to_pickle", "unsafe_load"):
        yield called
    if called == "torch.load" and given.get("weights_only") != "True":
        yield "torch.load without weights_only=True"
    if called in ("np.load", "numpy.load") and given.get("allow_pickle", "False") != "False":
        yield "np.load with allow_pickle"
    if called in ("yaml.load", "yaml.load_all", "yaml.full_load"):
        loader = given.get("Loader", "")
        if loader not in SAFE_LOADERS:
            yield f"{called} with {loader or 'no loader'}"
    if given.get("shell", "False") != "False":
        yield f"{called} with shell"
    if given.get("trust_remote_code", "False") != "False":
        yield f"{called} with trust_remote_code"
    if last == "from_pretrained" and re.match(r"Auto(Config|Model|Tokenizer)", called):
        if given.get("trust_remote_code") != "False":
            yield f"{called} without trust_remote_code=False"
        if called.startswith("AutoModel") and given.get("use_safetensors") != "True":
            yield f"{called} without use_safetensors=True"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_and_no_text_is_run(path: Path) -> None:
    assert list(faults(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle", "from pickle import loads", "eval('1')", "os.system('x')",
        "torch.load(path)", "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)", "yaml.load(text, Loader=yaml.Loader)",
        "subprocess.run('x', shell=True)", "AutoConfig.from_pretrained(x)",
        "AutoModelForCausalLM.from_pretrained(x, trust_remote_code=False)",
        "load_dataset(x, trust_remote_code=True)", "pandas.read_pickle(x)",
    ],
)  # fmt: skip
def test_the_check_finds_it(code: str) -> None:
    assert list(faults(ast.parse(code)))


def test_rules_run_no_text_but_commands() -> None:
    for path in RULES:
        text = path.read_text()
        assert not re.search(r"\b(pickle|(eval|exec|os\.system|run|Popen)\()", text)
        assert not re.search(r"^\s*(run|script|notebook|wrapper):", text, re.MULTILINE)


def commands(text: str) -> list[str]:
    """Strings of every `shell:` and `shell(...)`."""
    found = re.findall(r"^( *)shell:\n((?:\1 +.*\n|\n)+)", text, re.MULTILINE)
    blocks = [block for _, block in found] + re.findall(r"\bshell\((.*)\)", text)
    return ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', block)) for block in blocks]


def test_every_value_in_a_command_is_quoted_for_the_shell() -> None:
    seen = 0
    for path in RULES:
        for command in commands(path.read_text()):
            assert command.startswith(("rigsa ", "snakemake ")), command
            for value in re.findall(
                r"\{+(.*?)\}+", re.sub(r"\('\{threads\}'\)", "(THREADS)", command)
            ):
                seen += 1
                value = value.replace("(THREADS)", "('{threads}')")
                assert value.endswith(":q") or value in UNQUOTED, f"{path.name}: {{{value}}}"
    assert seen > 40
