"""The commands behind ``skpoison``. Only ``app`` and ``_options`` need typer."""
