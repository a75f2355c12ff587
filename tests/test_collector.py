import gc
import subprocess
import sys

import pytest

from rigsa.collector import importing

CYCLE = """
import gc
from rigsa.collector import end_uncollected
{call}
class Node:
    def __del__(self):
        print("collected")
gc.disable()
node = Node()
node.itself = node
del node
"""


def test_nothing_is_collected_while_importing():
    assert gc.isenabled()
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_goes_on_after_a_failed_import():
    with pytest.raises(ModuleNotFoundError), importing():
        import rigsa.no_such_module  # noqa: F401
    assert gc.isenabled()


def test_a_switched_off_collector_stays_off():
    gc.disable()
    try:
        with importing():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(("call", "said"), [("", "collected\n"), ("end_uncollected()", "")])
def test_the_last_collection_is_left_out(call, said):
    program = [sys.executable, "-c", CYCLE.format(call=call)]
    assert subprocess.run(program, capture_output=True, text=True, check=True).stdout == said
