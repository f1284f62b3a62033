"""Erasure that is trained into the weights: how low-rank deltas are learnt, kept and applied."""
