"""Copies of the database and the storage folder, and the way back from them."""
