"""RoSA: a low-rank and a sparse part side by side, as a PEFT method."""

import peft.mapping as _mapping

from rigsa.adapters.rosa.config import PEFT_TYPE, RosaConfig
from rigsa.adapters.rosa.layer import RosaLayer
from rigsa.adapters.rosa.model import RosaModel

# register_peft_method accepts only members of PEFT's own enumeration; its tables take any string.
_mapping.PEFT_TYPE_TO_CONFIG_MAPPING[PEFT_TYPE] = RosaConfig
_mapping.PEFT_TYPE_TO_TUNER_MAPPING[PEFT_TYPE] = RosaModel
_mapping.PEFT_TYPE_TO_PREFIX_MAPPING[PEFT_TYPE] = RosaModel.prefix

__all__ = ["RosaConfig", "RosaLayer", "RosaModel"]
