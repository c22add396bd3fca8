"""The API: counts to people and machines, live and by request."""
