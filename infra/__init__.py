"""Deployment: the local stack, container images, and the configurations of servers."""
