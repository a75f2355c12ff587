"""Which base model an arm starts from: the full one, or a ready 4-bit one beside it."""

from collections.abc import Mapping
from typing import Any

from rigsa.catalog import ready_four_bit
from rigsa.models.folder import READY
from rigsa.study import Study


def model_of(study: Study, arm: str) -> str:
    """Name of the base model's folder that the arm starts from."""
    four_bit = study.arm(arm).base == "four_bit"
    return (
        four_bit_model(study)
        if four_bit and ready_four_bit(study.base_model_entry)
        else study.base_model
    )


def quantization_of(study: Study, arm: str) -> Mapping[str, Any] | None:
    """How the arm's base model is brought to 4-bit; None for full precision."""
    if study.arm(arm).base != "four_bit":
        return None
    return READY if ready_four_bit(study.base_model_entry) else study.base_model_entry["four_bit"]


def four_bit_model(study: Study) -> str:
    return f"{study.base_model}_4bit"


def models_from_outside(study: Study) -> list[str]:
    """Base models that are not trained here."""
    if study.base_model_entry["source"] == "trained":
        return []
    return list(dict.fromkeys([study.base_model, *(model_of(study, arm) for arm in study.arms)]))
