"""Decoding by PyAV: from a container to upright BGR pictures with their times, for files and network streams alike."""
