"""Live answers to "why does it not work?": facts are gathered, then judged by pure functions."""
