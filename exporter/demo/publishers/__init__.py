"""One publisher per kind of receiver, counting under the names of the service it imitates."""
