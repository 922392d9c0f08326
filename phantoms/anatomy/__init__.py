"""The head-and-neck patient, region by region, as layers of shapes."""
