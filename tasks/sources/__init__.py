"""Where images come from: the sample, Kaggle, archives, folders."""
