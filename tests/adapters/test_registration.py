"""`import rigsa` makes PEFT know the adapter, whichever is imported first, and imports no torch."""

import subprocess
import sys

import pytest

KNOWN = "from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as m; assert 'SPARSE_DELTA' in m"


@pytest.mark.parametrize(
    "program",
    [
        f"import rigsa, peft; {KNOWN}",
        f"import peft, rigsa; {KNOWN}",
        f"import rigsa, importlib.util; importlib.util.find_spec('peft'); import peft; {KNOWN}",
        "import rigsa.study, sys; assert not {'torch', 'peft', 'transformers'} & set(sys.modules)",
    ],
    ids=["rigsa first", "peft first", "peft looked for before", "the study alone"],
)
def test_order_of_imports(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)
