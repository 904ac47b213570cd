"""The data set behind prometheus_client's own server: `python -m tests.benchmarks.library SERIES PORT`."""

import signal
import sys

from prometheus_client import start_http_server

from tests.benchmarks.p2_publish import data, registry

if __name__ == "__main__":
    start_http_server(int(sys.argv[2]), "127.0.0.1", registry(data(int(sys.argv[1]))))
    signal.pause()
