"""Access control: principals, and the queries that find what they may see."""
