"""Evaluation: lm-eval behind one function, its results as files, and a chat."""
