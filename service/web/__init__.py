"""The page: what people see of the node in a browser, and what they can order there."""
