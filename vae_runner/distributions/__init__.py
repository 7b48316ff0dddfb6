"""The families a VAE is made of: posteriors q(z|x,c), priors p(z|c), likelihoods p(x|z,c)."""
