"""The services' common language: events, subjects, streams, camera specs and frame headers. Pure: no I/O."""
