"""``python -m skpoison``: the command line."""

from skpoison.cli import main

if __name__ == "__main__":
    main()
