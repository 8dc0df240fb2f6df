"""Sources: get images from the drawn sample, zips, folders and Kaggle. Nothing here judges a photograph."""
