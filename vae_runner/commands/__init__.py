"""One thin file per command: compose, call the library, show the result."""

COMMANDS = {
    "train": "train a model, or with -m a sweep of them; resume=DIR continues one",
    "evaluate": "figures about a run's model",
    "sample": "new examples from a run's model",
    "translate": "from pictures to pictures, with a run's model of condition=image",
    "forecast": "how sequences go on, with a run's model",
    "encode": "the codes of a run's data, as data for another run",
    "reconstruct": "examples beside what a run's model makes of them",
    "traverse": "what each latent dimension of a run's model does",
    "compare": "a table of runs and sweeps, and their curves",
    "validate": "check a config without running it",
    "list": "the groups of the config, or the options of one",
}
