"""Password resets: the owner of an account chooses a password with a link that is sent by mail."""
