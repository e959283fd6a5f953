"""What the built-in components spend their time in, for `jepa bench`: each beside plain torch, on random inputs."""
