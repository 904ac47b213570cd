"""What tests talk to instead of the world: real sockets, scripted behaviour."""
