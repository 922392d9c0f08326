"""Watches the node: looks at it, shows what it saw as metrics and health, and tells people what is wrong."""
