"""What a kubelet and Prometheus ask for: /healthz, /readyz, /metrics."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


def health_app(
    registry: CollectorRegistry, unready: Callable[[], list[str]], refresh: Callable[[], None]
) -> web.Application:
    """Return the application.

    Args:
        registry: of the metrics.
        unready: names what is still missing before we can serve.
        refresh: brings the gauges up to date before they are shown.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        missing = unready()
        if missing:
            return web.Response(status=503, text="".join(f"[-] {name}\n" for name in missing))
        return web.Response(text="ok\n")

    async def metrics(_request: web.Request) -> web.Response:
        refresh()
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=1024)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app
