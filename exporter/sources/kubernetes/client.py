"""The client library finds the API server and proves who we are; all else is done without it.

Its models and generated methods stay unused: they take five times as long to import as all that is needed here, and
much longer to decode a list.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import aiohttp

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.sources.kubernetes.question import Question

if TYPE_CHECKING:
    from kubernetes.aio.client.api_client import ApiClient
    from kubernetes.aio.client.configuration import Configuration

_CONNECT = 10.0  # seconds, as long as a packet may be lost twice


class Client:
    """Connections made with one reading of tokens and certificates.

    It is entered by each who uses it. Once it is retired it ends with its last user: what is under way goes on.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._users = 0
        self._retired = False

    @property
    def anonymous(self) -> bool:
        """Whether it has nothing to prove who we are; a plugin for that which fails is no error to the library."""
        configuration = self._client.configuration
        return not configuration.api_key and not configuration.cert_file

    async def __aenter__(self) -> Self:
        self._users += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._users -= 1
        await self._end()

    async def retire(self) -> None:
        """Nobody new will use it."""
        self._retired = True
        await self._end()

    async def _end(self) -> None:
        if self._retired and not self._users:
            await self._client.close()
            await asyncio.sleep(0)  # only with the next turn of the loop its transports are gone

    async def send(self, question: Question) -> aiohttp.ClientResponse:
        """The beginning of the answer, whatever its status."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=question.silence)
        place = {"namespace": question.namespace, "name": question.name}
        params, headers = list(question.params.items()), {"Accept": "application/json"}
        try:
            method, url, headers, *_ = await self._client.param_serialize(
                "GET", question.path, place, params, headers, auth_settings=["BearerToken"]
            )
        except Exception:
            problem = "the token for the API server cannot be read"
        else:
            try:
                answer = await self._client.call_api(method, url, headers, _request_timeout=limits)
                response: aiohttp.ClientResponse = answer.response
            except (aiohttp.ClientError, OSError):
                raise
            except Exception:
                problem = "the address, the token or the proxy of the API server is of no use"
            else:
                return response
        raise Failure(Reason.CONFIG, problem)


def hang_up(response: aiohttp.ClientResponse) -> None:
    """Ends the connection of an answer that was not read to its end, at once: a farewell over TLS may never come."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keeps aiohttp from asking a server that hangs up a second time, at once: pauses are ours to take."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise aiohttp.ClientPayloadError from None


def load_library() -> None:
    """Imports what is needed of the library, which takes longer than a loop may be held."""
    import kubernetes.aio.client.api_client
    import kubernetes.aio.config  # noqa: F401  # a submodule may not come with its package


async def connect(kubeconfig: Path | None) -> Client:
    """Reads who we are: from the kubeconfig, what a pod is given, or the kubeconfig the environment names."""
    from kubernetes.aio.client.api_client import ApiClient
    from kubernetes.aio.client.configuration import Configuration

    # It logs what plugins for credentials print, which may be a credential.
    logging.getLogger("kubernetes.aio.config").setLevel(logging.CRITICAL + 1)
    # The environment has no say: a .netrc that names the server would break every request, a variable would send the
    # token through a proxy. The kubeconfig may name one.
    configuration = Configuration(client_session_kwargs={"middlewares": (_once,), "trust_env": False})
    if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        problem = _from_service_account(configuration)
    else:
        problem = await _from_kubeconfig(configuration, kubeconfig or os.environ.get("KUBECONFIG", ""))
    if not problem:
        try:
            client = ApiClient(configuration)
        except Exception:
            problem = "a certificate or key named for the API server is of no use"
        else:
            client.user_agent = "platform-exporter"
            return Client(client)
    raise Failure(Reason.CONFIG, problem)


def _from_service_account(configuration: Configuration) -> str:
    """Fills in what a pod is given; tells what is wrong with it, or nothing."""
    from kubernetes.aio.config import incluster_config

    for file in (incluster_config.SERVICE_TOKEN_FILENAME, incluster_config.SERVICE_CERT_FILENAME):
        try:
            if not Path(file).read_bytes().strip():
                return f"{file} is empty"
        except OSError:
            return f"{file} cannot be read"
    try:
        incluster_config.load_incluster_config(configuration, try_refresh_token=False)
    except Exception:
        return "the environment does not say where the API server is"
    token = Path(incluster_config.SERVICE_TOKEN_FILENAME)

    def read_again(configuration: Configuration) -> None:
        configuration.api_key["BearerToken"] = f"Bearer {token.read_text().strip()}"

    # Called before each request: the token is replaced while it is still good.
    configuration.refresh_api_key_hook = read_again  # type: ignore[assignment]  # typed as the None it begins with
    return ""


async def _from_kubeconfig(configuration: Configuration, files: Path | str) -> str:
    """Fills in what a kubeconfig says; tells what is wrong with it, or nothing."""
    from kubernetes.aio.config import load_kube_config

    if not files:
        return "there is neither a service account nor a kubeconfig"
    if not _any_file(str(files).split(os.pathsep)):
        return f"the kubeconfig {files} is not there"
    try:
        await load_kube_config(str(files), client_configuration=configuration, persist_config=False)
    except Exception:
        return f"the kubeconfig {files} cannot be read, or does not name a cluster and credentials that can be used"
    for name, value in configuration.api_key.items():
        configuration.api_key[name] = value.strip()  # files of tokens end with a line feed
    return ""


def _any_file(paths: Iterable[str]) -> bool:
    return any(Path(path).expanduser().is_file() for path in paths)
