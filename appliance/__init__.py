"""fcgibox: a web appliance for applications that live behind FastCGI."""

__version__ = "0.1.0"
