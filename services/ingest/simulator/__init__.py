"""The simulated shop door: people's walks, and their drawing. It shares no code with any detector."""
