//! Failures, and what an error of the Iceberg library means.

pub use airbyte_connector::{Failure, FailureKind, Result, with_causes};

/// Errors of the Iceberg library come from the storage: a file is missing, or the store does not answer.
pub fn of_iceberg(error: iceberg::Error) -> Failure {
    let kind = match error.kind() {
        iceberg::ErrorKind::FeatureUnsupported | iceberg::ErrorKind::PreconditionFailed => {
            FailureKind::System
        }
        _ => FailureKind::Transient,
    };
    Failure::new(kind, with_causes(&error))
}
