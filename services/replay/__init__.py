"""Replay: carries out the runs that users ask for, and removes them. Stored data in; detections or crossings out."""
