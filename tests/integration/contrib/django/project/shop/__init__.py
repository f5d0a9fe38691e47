"""An app with permissions."""
