"""Inbox: labeled images that arrived, and which of them are new since the last run. Nothing here changes an image."""
