"""Recipes, data, augmentation and the loop that make the weights of model_repository/."""
