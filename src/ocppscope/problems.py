"""The one table of problem codes: what a decoder can state about the wire, and what it means.

Codes are `layer.name` and stable: filters, exports and analysis rules refer to them. A test holds the codes used
in the source against this table.
"""

PROBLEMS: dict[str, str] = {
    # tcp
    # http
    # ws
    # json
    # ocpp
    # schema
}


def layer(code: str) -> str:
    """The layer of a problem code: "tcp", "http", "ws", "json", "ocpp", "schema"."""
    return code.partition(".")[0]
