"""The page with every operation: Swagger UI, served whole by this instance.

A page on which people enter keys runs nobody else's scripts, and works where there is no internet.
The files are those that the package `fastapi-offline` carries (MIT; Swagger UI is Apache-2.0).
"""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse

FOLDER = Path(str(files("fastapi_offline"))) / "static"
SCRIPT, STYLE = "swagger-ui-bundle.js", "swagger-ui.css"
PATHS = frozenset({"/docs", f"/docs/{SCRIPT}", f"/docs/{STYLE}"})
KEPT = {"Cache-Control": "public, max-age=86400"}

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def page() -> HTMLResponse:
    """Show every operation; addresses are relative, for proxies that put a path in front."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Castline API",
        swagger_js_url=f"docs/{SCRIPT}",
        swagger_css_url=f"docs/{STYLE}",
        swagger_favicon_url="data:,",
    )


@router.get(f"/docs/{SCRIPT}")
async def script() -> FileResponse:
    """Serve the page's script."""
    return FileResponse(FOLDER / SCRIPT, headers=KEPT)


@router.get(f"/docs/{STYLE}")
async def style() -> FileResponse:
    """Serve the page's style."""
    return FileResponse(FOLDER / STYLE, headers=KEPT)
