"""Names for property tests."""

from __future__ import annotations

from string import ascii_letters, digits

from hypothesis import strategies as st

_FIRST = ascii_letters + digits
TOKENS = st.builds(str.__add__, st.sampled_from(_FIRST), st.text(_FIRST + "_-", max_size=63))
"""Any valid name of a store, camera, run, pool or session."""
