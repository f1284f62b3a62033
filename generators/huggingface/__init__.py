"""Models that `transformers` holds, drawn by the project's own loop."""
