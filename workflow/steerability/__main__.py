"""``python -m steerability``."""

from steerability.cli import main

if __name__ == "__main__":
    main()
