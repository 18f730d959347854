"""The application side: the FastCGI and SCGI server for WSGI, the template, Trac behind a real web server."""
