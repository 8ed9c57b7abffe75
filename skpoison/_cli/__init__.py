"""The commands behind ``skpoison``; they need typer and rich."""
