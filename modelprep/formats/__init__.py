"""What the files are: readers and writers, no policy."""
