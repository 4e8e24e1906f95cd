"""The conformance report tells what was run, and nothing else."""
