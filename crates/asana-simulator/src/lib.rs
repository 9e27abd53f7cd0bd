//! A deterministic Asana for tests and demonstrations. Knows nothing of Airbyte or of the connector.
