"""``python -m skpoison``: the command line."""

from skpoison.cli import run

if __name__ == "__main__":
    run()
