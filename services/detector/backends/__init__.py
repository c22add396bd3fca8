"""Networks that find people: the runtimes that run them, and the way from a frame to their input and back."""
