"""Names for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

TOKENS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
"""Any valid name of a store, camera, run, pool or session."""
