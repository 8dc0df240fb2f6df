"""What is known of an image and how it becomes an array."""
