"""SpIEL: a sparse delta whose places move while it trains, as a PEFT method."""

import peft.mapping as _mapping

from rigsa.adapters.spiel.config import PEFT_TYPE, SpielConfig
from rigsa.adapters.spiel.model import SpielModel

# register_peft_method accepts only members of PEFT's own enumeration; its tables take any string.
_mapping.PEFT_TYPE_TO_CONFIG_MAPPING[PEFT_TYPE] = SpielConfig
_mapping.PEFT_TYPE_TO_TUNER_MAPPING[PEFT_TYPE] = SpielModel
_mapping.PEFT_TYPE_TO_PREFIX_MAPPING[PEFT_TYPE] = SpielModel.prefix

__all__ = ["SpielConfig", "SpielModel"]
