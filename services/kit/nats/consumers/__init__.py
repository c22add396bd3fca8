"""Consumers: durable ones that replicas share, and ordered ones, over one pull subscription."""
