"""Decoding shared by the drivers of one family. Pure functions, imported by bundled drivers."""
