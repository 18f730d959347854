"""HTTP/1.1: the loop, connections, requests and responses. Knows neither handlers nor applications."""
