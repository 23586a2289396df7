"""The drivers that ship with Flockwatch, one file each."""
