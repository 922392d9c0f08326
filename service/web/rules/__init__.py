"""Rules on the web page: shown, tried on an image, tried on past series."""
