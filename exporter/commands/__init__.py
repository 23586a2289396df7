"""The subcommands of ``flockwatch``. Each is a function of the parsed arguments that returns the exit status."""
