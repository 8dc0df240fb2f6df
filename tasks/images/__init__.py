"""Images: read, check and measure one photograph, and show it as a network sees it. Nothing here compares parts."""
