"""Commands to miners: what is offered, how one is carried out and confirmed, and the log of it all."""
