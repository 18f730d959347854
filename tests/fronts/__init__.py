"""The application side under the web servers of other people."""
