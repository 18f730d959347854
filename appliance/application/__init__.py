"""The other side: an application server for FastCGI and SCGI, and Trac. Python 3.8+, standard library
only."""
