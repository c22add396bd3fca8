"""Organizations: the tenants, which own stores."""
