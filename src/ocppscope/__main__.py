"""`python -m ocppscope`."""

from ocppscope.cli.main import main

if __name__ == "__main__":
    main()
