"""Why nothing counts: from a minute of paths and picture figures to findings in words, a proposed line and a picture.

All is pure but for `stretch` and `observing`, which read a source.
"""
