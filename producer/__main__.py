"""`python -m producer` is `castline`."""

from producer.cli import main

if __name__ == "__main__":
    main()
