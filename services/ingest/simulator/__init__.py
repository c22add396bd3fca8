"""The simulated shop door: who walks when, and how it looks. It shares no code with any detector."""
