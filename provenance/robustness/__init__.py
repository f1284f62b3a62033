"""The bench a user runs to know what a mark survives."""
