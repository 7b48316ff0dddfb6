"""The published data sets that torchvision knows, read from their official files."""
