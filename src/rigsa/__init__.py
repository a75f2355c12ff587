"""RIGSA: which adapter learns a task and forgets least, measured as one reproducible study."""

from rigsa.adapters.registration import register_methods
from rigsa.errors import RigsaError

__all__ = ["RigsaError"]
__version__ = "0.1.0"

register_methods()
