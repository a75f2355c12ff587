"""FineGates: gates over the rows and columns of frozen matrices, as a PEFT method."""

import peft.mapping as _mapping

from rigsa.adapters.fine_gates.config import PEFT_TYPE, FineGatesConfig
from rigsa.adapters.fine_gates.layer import FineGatesLayer
from rigsa.adapters.fine_gates.model import FineGatesModel

# register_peft_method accepts only members of PEFT's own enumeration; its tables take any string.
_mapping.PEFT_TYPE_TO_CONFIG_MAPPING[PEFT_TYPE] = FineGatesConfig
_mapping.PEFT_TYPE_TO_TUNER_MAPPING[PEFT_TYPE] = FineGatesModel
_mapping.PEFT_TYPE_TO_PREFIX_MAPPING[PEFT_TYPE] = FineGatesModel.prefix

__all__ = ["FineGatesConfig", "FineGatesLayer", "FineGatesModel"]
