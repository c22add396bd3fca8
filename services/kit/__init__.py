"""What every service needs, once: settings, the bus, the frame codec, health, metrics, logging."""
