"""Mail to people: what it says, and how it reaches a mail server."""
