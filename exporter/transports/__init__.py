"""The only code that does network and serial I/O with miners."""
