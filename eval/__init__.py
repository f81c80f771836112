"""Score models on the benchmark, and find and change where they keep what they know."""
