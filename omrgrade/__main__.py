"""``python -m omrgrade``."""

from omrgrade.cli import main

if __name__ == "__main__":
    main()
