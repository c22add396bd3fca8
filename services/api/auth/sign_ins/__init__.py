"""Sign-ins of the built-in accounts in the database, with their refresh tokens."""
