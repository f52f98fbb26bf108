"""ocppscope: network analyzer and debugger for OCPP (Open Charge Point Protocol)."""
