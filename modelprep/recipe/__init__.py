"""What a demo needs: recipes as checked structs."""
