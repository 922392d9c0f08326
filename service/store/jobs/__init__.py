"""Jobs: their series, versions, states and results."""
