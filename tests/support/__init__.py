"""Real things for tests to run against."""
