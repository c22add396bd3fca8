"""Invitations: a person joins an organization by a link that was sent to their address."""
