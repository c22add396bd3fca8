"""Third-party images of compose.yaml and the Dockerfile, pinned by digest: `./taskw images`."""
