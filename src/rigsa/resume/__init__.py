"""Ending early and going on: what a step keeps of its work, and for whom."""
