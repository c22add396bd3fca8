"""The images of others that compose.yaml and the Dockerfile name, pinned by digest: `./taskw images`."""
