"""Finding miners: networks to search, open ports, identification."""
