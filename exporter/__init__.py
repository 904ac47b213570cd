"""One daemon that tells whether alerts get out and who uses the services."""

__version__ = "0.1.0"
__revision__ = "unknown"
