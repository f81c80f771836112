"""Verdicts of the second readers: one JSONL file a language."""
