"""Families of p(x|z,c): from the network's parameters to a distribution over examples."""
