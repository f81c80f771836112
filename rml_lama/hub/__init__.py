"""The benchmark as a folder that the Hugging Face Hub and `datasets.load_dataset` read: schema, card and export."""
