"""docker-compose.yml, really brought up: see `__main__`."""
