"""Sources: where images come from: the drawn sample, zips, folders, Kaggle. Nothing that judges a photograph."""
