"""The training steps of several runs as one."""
