"""The finished folder: installation, manifest, selection for delivery."""
