"""The wire to applications: FastCGI records, the CGI environment, the head of an answer, X-Sendfile."""
