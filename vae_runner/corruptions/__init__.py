"""What the encoder sees instead of an example."""
