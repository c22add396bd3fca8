"""Members of organizations with their roles, and users."""
