"""Training: the recipes, data, augmentation and loop that produce the weights of model_repository/."""
