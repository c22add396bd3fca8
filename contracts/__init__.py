"""The language of the services: events, subjects, streams, the camera's spec and frame headers. Pure: no I/O."""
