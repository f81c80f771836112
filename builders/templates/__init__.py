"""The template bank: one JSONL file a language."""
