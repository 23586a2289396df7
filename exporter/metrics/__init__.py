"""The metric table and the page made of it."""
