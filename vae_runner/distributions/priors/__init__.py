"""Families of p(z|c): distributions over latents that can be sampled without data."""
