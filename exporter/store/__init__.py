"""What is kept on disk, behind typed tables."""
