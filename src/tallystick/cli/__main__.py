"""`python -m tallystick.cli`: the command `tally`, for whoever starts it from this interpreter."""

from tallystick.cli.main import main

if __name__ == "__main__":
    main()
