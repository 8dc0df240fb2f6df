"""Review: the page on which people look at photographs, label them and approve models. It decides nothing itself."""
