"""Sparse delta: W0 + α·ΔW with ΔW random or zero, dense or masked, as a PEFT method."""

import peft.mapping as _mapping

from rigsa.adapters.sparse_delta.config import PEFT_TYPE, SparseDeltaConfig
from rigsa.adapters.sparse_delta.layer import SparseDeltaLayer
from rigsa.adapters.sparse_delta.model import SparseDeltaModel

# register_peft_method accepts only members of PEFT's own enumeration; its tables take any string.
_mapping.PEFT_TYPE_TO_CONFIG_MAPPING[PEFT_TYPE] = SparseDeltaConfig
_mapping.PEFT_TYPE_TO_TUNER_MAPPING[PEFT_TYPE] = SparseDeltaModel
_mapping.PEFT_TYPE_TO_PREFIX_MAPPING[PEFT_TYPE] = SparseDeltaModel.prefix

__all__ = ["SparseDeltaConfig", "SparseDeltaLayer", "SparseDeltaModel"]
