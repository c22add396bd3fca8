"""Counting a video in one process, as the services would."""
