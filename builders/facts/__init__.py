"""The committed facts of the `open` track, and the differences between their sources."""
