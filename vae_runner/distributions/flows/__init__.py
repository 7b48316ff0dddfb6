"""Invertible maps with tractable Jacobians, which flow posteriors and flow priors are made of."""
