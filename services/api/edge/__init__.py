"""The edge: crossings that workers in stores found themselves, and send over HTTP."""
