"""The refusal of a promotion, in a module that the command line can import quickly."""

from __future__ import annotations


class PromotionRefused(Exception):
    """The counts cannot be promoted, or a promotion cannot be revoked. The text is one line with the reason."""
