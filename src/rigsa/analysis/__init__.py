"""From the result files of all checkpoints to the paper's tables and figures."""
