"""Masks: which weights of each matrix are free. How they are chosen and how they are stored."""
