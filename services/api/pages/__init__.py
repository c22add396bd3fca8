"""Pages for browsers: the built dashboard, or a plain page in its place."""
