"""Rules on the page: shown, tried on an image, tried on past series."""
