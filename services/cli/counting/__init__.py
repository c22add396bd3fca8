"""Counting a video in one process, with the services' own cores."""
