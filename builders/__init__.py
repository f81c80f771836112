"""Everything that makes the benchmark: sources of facts, the template bank, and the stages of a build."""
