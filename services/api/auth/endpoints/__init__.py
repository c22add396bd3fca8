"""Routes of signing in: `/v1/auth`, and a user's second factor."""
