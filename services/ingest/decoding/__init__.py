"""Decoding by PyAV: turns containers and network streams into upright BGR pictures with their times."""
