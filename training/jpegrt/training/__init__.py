"""Networks, degradations, data and the training loop (needs torch: the extra `[train]`)."""
