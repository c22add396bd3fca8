"""Organizations: who owns stores."""
