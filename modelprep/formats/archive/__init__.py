"""Archives: members of tar and zip files, and their decompression, within bounds."""
