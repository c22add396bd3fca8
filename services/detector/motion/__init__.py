"""Detection of people by motion: background subtraction, and blobs of the size of a person."""
