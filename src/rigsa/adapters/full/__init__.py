"""Full fine-tuning: a trained delta on every weight of a model, as a PEFT method."""

import peft.mapping as _mapping

from rigsa.adapters.full.config import PEFT_TYPE, FullConfig
from rigsa.adapters.full.layer import FullLayer
from rigsa.adapters.full.model import FullModel

# register_peft_method accepts only members of PEFT's own enumeration; its tables take any string.
_mapping.PEFT_TYPE_TO_CONFIG_MAPPING[PEFT_TYPE] = FullConfig
_mapping.PEFT_TYPE_TO_TUNER_MAPPING[PEFT_TYPE] = FullModel
_mapping.PEFT_TYPE_TO_PREFIX_MAPPING[PEFT_TYPE] = FullModel.prefix

__all__ = ["FullConfig", "FullLayer", "FullModel"]
