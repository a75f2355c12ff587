"""Base models: from a folder, in full precision or 4-bit, and the embedded one trained here."""
