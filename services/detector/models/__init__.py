"""Models that the detector can run: the catalogue, downloads and their checksums, and loading."""
