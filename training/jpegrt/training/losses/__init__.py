"""The published networks' losses, one file each, where they are more than a mean error."""
