"""Images: one photograph read, checked, measured, and shown as a network sees it. Nothing that compares parts."""
