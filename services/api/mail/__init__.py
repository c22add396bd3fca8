"""Mail: its texts, and its delivery to a mail server."""
