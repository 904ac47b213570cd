"""How the API server is asked. The client library finds it and proves who we are; bodies are read as they come.

Its models and generated methods stay unused: they take five times as long to import as all that is needed here, and
fifty times as long to decode a list.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import aiohttp

from exporter.model.collector import Clock
from exporter.model.errors import Backoff, Failure
from exporter.model.reason import Reason
from exporter.sources.reply import pause
from exporter.sources.tls import fault

if TYPE_CHECKING:
    from kubernetes.aio.client.api_client import ApiClient
    from kubernetes.aio.client.configuration import Configuration

T = TypeVar("T")
_CONNECT = 10.0  # seconds, as long as a packet may be lost twice


class Gone(Failure):
    """What is asked for is older than what the server remembers: only a new list helps."""


class Forbidden(Failure):
    """Who we are is known, and may not do this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one answer may cost in bytes, Secrets and seconds; `grace` is what a server has to end a watch itself."""

    page: int = 500
    body: int = 8 << 20
    total: int = 512 << 20
    timeout: float = 30.0
    silence: float = 20.0
    watch: float = 240.0
    grace: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request for Secrets: what the operator would have to allow, how long it may take and may be silent."""

    verb: str
    namespace: str
    name: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    total: float
    silence: float

    def __str__(self) -> str:
        what = f"the Secret {self.name}" if self.name else "secrets"
        return f"{self.verb} {what} in the namespace {self.namespace}"

    @property
    def path(self) -> str:
        return "/api/v1/namespaces/{namespace}/secrets" + ("/{name}" if self.name else "")


class Server:
    """The API server of one cluster."""

    def __init__(self, kubeconfig: Path | None, clock: Clock) -> None:
        self._kubeconfig = kubeconfig
        self._clock = clock
        self._client: ApiClient | None = None
        self._anonymous = False
        self._connecting = asyncio.Lock()
        self._quiet_until = 0.0

    @property
    def pause(self) -> float:
        """The seconds the server still wants to be left alone."""
        return max(0.0, self._quiet_until - self._clock.monotonic())

    async def ask(self, question: Question, read: Callable[[aiohttp.StreamReader], Awaitable[T]]) -> T:
        """What `read` makes of the body of the answer; raises Failure for all that can go wrong on the way."""
        try:
            async with asyncio.timeout(question.total):
                response = await self._answer(question)
                try:
                    return await read(response.content)
                finally:
                    response.close()  # one that was read to its end has given its connection back before
        except (aiohttp.ClientError, OSError) as caught:
            failure = _failure(caught, question)
        # Raised here so that it carries no context: the texts of other exceptions may hold what must not be seen.
        raise failure

    async def _answer(self, question: Question) -> aiohttp.ClientResponse:
        if self.pause:
            raise Backoff(Reason.RATE_LIMITED, "the API server asked for a pause")
        client = await self._connected()
        try:
            response = await _send(client, question)
        except (aiohttp.ClientSSLError, ssl.SSLError):
            response = None  # the authority may be another by now
        if response is None or response.status == 401:
            if response is not None:
                response.close()
            await self._forget(client)
            response = await _send(await self._connected(), question)
        if response.status != 200:
            response.close()
            raise self._refusal(response, question)
        return response

    def _refusal(self, response: aiohttp.ClientResponse, question: Question) -> Failure:
        whose = " as nobody: no credentials were found" if self._anonymous else ""
        status, asked = response.status, response.headers.get("Retry-After", "")
        wait = pause(asked, self._clock.wall()) if status in (429, 503) and asked else None
        if wait is not None:
            self._quiet_until = self._clock.monotonic() + wait
        if status == 401:
            return Failure(Reason.AUTH, f"the API server does not accept our credentials, asked to {question}{whose}")
        if status == 403:
            return Forbidden(Reason.AUTH, f"not allowed to {question}{whose}")
        if status == 410:
            return Gone(Reason.HTTP_STATUS, f"the answer to {question} was 410")
        if status == 429:
            kind = Failure if wait is None else Backoff
            return kind(Reason.RATE_LIMITED, "the API server asks for fewer requests")
        return Failure(Reason.HTTP_STATUS, f"the answer to {question} was {status}")

    async def _connected(self) -> ApiClient:
        async with self._connecting:
            if self._client is None:
                self._client = await _connect(self._kubeconfig)
                configuration = self._client.configuration
                # A plugin for credentials that fails is no error to the library.
                self._anonymous = not configuration.api_key and not configuration.cert_file
            return self._client

    async def _forget(self, client: ApiClient) -> None:
        """The next request reads tokens and certificates anew, unless that has just been done."""
        if self._client is client:
            self._client = None
            await client.close()

    async def close(self) -> None:
        """Ends all connections."""
        if self._client is not None:
            await self._forget(self._client)


async def _send(client: ApiClient, question: Question) -> aiohttp.ClientResponse:
    limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=question.silence)
    place = {"namespace": question.namespace, "name": question.name}
    params, headers = list(question.params.items()), {"Accept": "application/json"}
    try:
        method, url, headers, *_ = await client.param_serialize(
            "GET", question.path, place, params, headers, auth_settings=["BearerToken"]
        )
    except Exception:
        problem = "the token for the API server cannot be read"
    else:
        try:
            answer = await client.call_api(method, url, headers, _request_timeout=limits)
            response: aiohttp.ClientResponse = answer.response
        except (aiohttp.ClientError, OSError):
            raise
        except Exception:
            problem = "the address, the token or the proxy of the API server is of no use"
        else:
            return response
    raise Failure(Reason.CONFIG, problem)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keeps aiohttp from asking a server that hangs up a second time, at once: pauses are ours to take."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise aiohttp.ClientPayloadError from None


async def _connect(kubeconfig: Path | None) -> ApiClient:
    from kubernetes.aio.client.api_client import ApiClient
    from kubernetes.aio.client.configuration import Configuration

    # It logs what plugins for credentials print, which may be a credential.
    logging.getLogger("kubernetes.aio.config").setLevel(logging.CRITICAL + 1)
    configuration = Configuration(client_session_kwargs={"middlewares": (_once,)})
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
            return client
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


def _failure(caught: aiohttp.ClientError | OSError, question: Question) -> Failure:
    """The reason, and a text of our own, for whatever was raised."""
    match caught:
        case TimeoutError():
            return Failure(Reason.TIMEOUT, f"no answer in time, asked to {question}")
        case aiohttp.ClientConnectorDNSError():
            return Failure(Reason.DNS, "the name of the API server cannot be resolved")
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLError() as error):
            return Failure(Reason.TLS, fault(error))
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError() as error) | (ssl.SSLError() as error):
            return Failure(Reason.TLS, fault(error))
        case aiohttp.TooManyRedirects():
            return Failure(Reason.REDIRECT, "the API server redirects without end")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Failure(Reason.CONFIG, "the address of the API server is none")
        case aiohttp.ClientHttpProxyError():
            return Failure(Reason.CONNECT, "the proxy does not lead to the API server")
        case aiohttp.ClientResponseError():
            return Failure(Reason.DECODE, "the answer is not HTTP")
        case OSError(errno=int(number)) if number > 0:
            return Failure(Reason.CONNECT, os.strerror(number).lower())
    return Failure(Reason.CONNECT, f"the connection broke, asked to {question}")
