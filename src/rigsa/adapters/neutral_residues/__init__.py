"""Neutral residues: a gated adapter beside each feed-forward block, as a PEFT method."""

import peft.mapping as _mapping

from rigsa.adapters.neutral_residues.config import PEFT_TYPE, NeutralResiduesConfig
from rigsa.adapters.neutral_residues.layer import NeutralResiduesLayer
from rigsa.adapters.neutral_residues.model import NeutralResiduesModel

# register_peft_method accepts only members of PEFT's own enumeration; its tables take any string.
_mapping.PEFT_TYPE_TO_CONFIG_MAPPING[PEFT_TYPE] = NeutralResiduesConfig
_mapping.PEFT_TYPE_TO_TUNER_MAPPING[PEFT_TYPE] = NeutralResiduesModel
_mapping.PEFT_TYPE_TO_PREFIX_MAPPING[PEFT_TYPE] = NeutralResiduesModel.prefix

__all__ = ["NeutralResiduesConfig", "NeutralResiduesLayer", "NeutralResiduesModel"]
