"""Members: who may do what in an organization; and the users themselves."""
