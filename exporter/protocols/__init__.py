"""Wire formats as pure functions and sans-IO objects: bytes in, values out."""
