"""History: footfall and occupancy of stores and organizations, by local time, and their export."""
