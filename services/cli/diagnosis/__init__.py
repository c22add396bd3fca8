"""Diagnosis of a camera: a minute of paths and image statistics becomes findings, a proposed line and a picture.

All modules are pure, except for `clip` and `observing`, which read a source.
"""
