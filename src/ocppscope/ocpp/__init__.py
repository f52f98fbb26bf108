"""What the texts mean: OCPP messages, versions, schemas, exchanges."""
