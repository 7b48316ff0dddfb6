"""What a model is told besides x: how it comes from a batch, and how the networks see it."""
