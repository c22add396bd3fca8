"""Sources of frames: video files, cameras on the network and of this machine, and the simulated door."""
