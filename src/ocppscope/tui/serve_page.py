"""The page, the style and the script that a browser gets, and the headers of every answer. Texts only, no I/O.

Nothing here names another host: the font, the style and the terminal come from the package that draws the terminal,
served from here. The script keeps windows from being opened elsewhere, since texts from the wire may look like links.
"""

from __future__ import annotations

from html import escape

STATIC = {
    "textual.js": ("js/textual.js", "text/javascript"),
    "xterm.css": ("css/xterm.css", "text/css"),
    "mono.ttf": ("fonts/RobotoMono-VariableFont_wght.ttf", "font/ttf"),
    "mono-italic.ttf": ("fonts/RobotoMono-Italic-VariableFont_wght.ttf", "font/ttf"),
}
"""The files of the terminal's package that are served: name → where it lies there, and its type."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/xterm.css">
<link rel="stylesheet" href="/static/page.css">
<script src="/static/start.js"></script>
<script src="/static/textual.js"></script>
</head>
<body>
<p id="starting">{title} is starting …</p>
<p id="ended">The session has ended. <button type="button" id="again">Start again</button></p>
<div id="terminal" class="textual-terminal" data-session-websocket-url="" data-font-size="{font_size}"></div>
<noscript><p>This page needs JavaScript.</p></noscript>
</body>
</html>
"""

STYLE = """@font-face { font-family: "Roboto Mono"; src: url("/static/mono.ttf"); font-weight: 100 700; }
@font-face { font-family: "Roboto Mono"; src: url("/static/mono-italic.ttf"); font-weight: 100 700;
  font-style: italic; }
body { margin: 0; background: #11151a; color: #d8dee4; font-family: "Roboto Mono", monospace; overflow: hidden; }
#starting, #ended { position: absolute; inset: 0; margin: 0; z-index: 10; display: flex; gap: 1em;
  align-items: center; justify-content: center; background: #11151a; }
#ended, body.-first-byte #starting, body.-closed #starting { display: none; }
body.-closed #ended { display: flex; }
button { font: inherit; padding: 0.5em 1em; }
.textual-terminal { width: 100vw; height: 100vh; opacity: 0; }
body.-first-byte .textual-terminal { opacity: 1; }
"""

SCRIPT = """"use strict";
history.replaceState(null, "", location.pathname);
const openWindow = window.open;
window.open = (url, ...rest) =>
  url && new URL(url, location.href).origin === location.origin ? openWindow.call(window, url, ...rest) : null;
document.addEventListener("DOMContentLoaded", () => {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  document.getElementById("terminal").dataset.sessionWebsocketUrl = `${scheme}//${location.host}/ws`;
  document.getElementById("again").addEventListener("click", () => location.reload());
  new MutationObserver((changes, watch) => {
    if (document.body.classList.contains("-first-byte")) {
      watch.disconnect();
      document.querySelector(".xterm-helper-textarea").focus();
    }
  }).observe(document.body, { attributeFilter: ["class"] });
});
for (const shape of ["", "bold ", "italic "]) document.fonts.load(`${shape}16px "Roboto Mono"`);
"""
"""Takes the token out of the address (it is spent by now), says where the session is, and has keys go to it."""

REFUSAL = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>ocppscope</title><link rel="icon" href="data:,"></head>
<body style="display: flex; align-items: center; justify-content: center; min-height: 90vh; padding: 0 1em;
  background: #11151a; color: #d8dee4; font-family: monospace; font-size: 16px"><p>{sentence}</p></body></html>
"""


def page(title: str, font_size: int) -> str:
    """The one page."""
    return _PAGE.format(title=escape(title), font_size=font_size)


def refusal(sentence: str) -> str:
    """What is shown to who may not enter."""
    return REFUSAL.format(sentence=escape(sentence))


def headers(host: str) -> dict[str, str]:
    """The headers of every answer. `host` has been checked: the old ones of the browsers do not count the session's
    WebSocket as coming from the page's own origin, so it is named."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",  # the terminal writes its colours as style elements
        "font-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": f"'self' ws://{host} wss://{host}" if host else "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
