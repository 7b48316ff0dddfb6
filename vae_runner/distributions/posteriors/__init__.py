"""Families of q(z|x,c): from the network's parameters to a distribution over latents."""
