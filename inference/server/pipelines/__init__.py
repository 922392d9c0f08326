"""How a volume is put before a network: whole, in tiles, slice by slice."""
