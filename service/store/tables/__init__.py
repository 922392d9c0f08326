"""The tables, for queries; the migrations create them."""
