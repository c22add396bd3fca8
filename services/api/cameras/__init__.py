"""Cameras: settings, tests, frames and health."""
