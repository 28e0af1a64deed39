"""This project's side of CometBFT: the client of its RPC, and the application that it runs."""
