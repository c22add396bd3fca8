"""Runs: stored data of a period, processed once more by the replay service beside the live run."""
