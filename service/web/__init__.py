"""The web page: what people see of the node in a browser, and the orders that they can give there."""
