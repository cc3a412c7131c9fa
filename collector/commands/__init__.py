"""What `collector` does, one module a command."""
