"""How another command of ours talks to the running program: a UNIX socket beside the database."""
