"""Invitations: a person joins an organization with a link that is sent by mail."""
