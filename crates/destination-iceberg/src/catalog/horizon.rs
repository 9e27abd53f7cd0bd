//! What Snowflake Horizon's known answers mean and what to do. Knows no request but by its method and address.
//!
//! The answers are those that users of other writers met and reported; none was tried against an account of ours.

use reqwest::{Method, StatusCode, Url};

/// Whether a catalog's address is one of Horizon.
pub fn is_horizon(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    host.contains(".snowflakecomputing.") || base.path().contains("/polaris/api/catalog")
}

/// The status of an answer and a sentence to add to what the server said. The status differs from the server's where it
/// says that trying again helps, and it does not.
pub fn explain(
    method: &Method,
    address: &Url,
    status: StatusCode,
    said: &str,
) -> (StatusCode, Option<&'static str>) {
    let path = address.path();
    let is_create = *method == Method::POST && path.ends_with("/tables");
    let said = said.to_lowercase();
    let hint = if said.contains("network policy") {
        "A network policy refuses the token. Horizon does not support network policies of a single user: use one of the \
         account, or an authentication policy whose PAT_POLICY sets NETWORK_POLICY_EVALUATION to ENFORCED_NOT_REQUIRED"
    } else if said.contains("already exists as table") {
        let hint = "A native Snowflake table has this name: drop or rename it, or choose another namespace";
        return (StatusCode::UNPROCESSABLE_ENTITY, Some(hint));
    } else if status == StatusCode::NOT_FOUND && path.ends_with("/v1/config") {
        "Horizon finds no such database: write its name in upper case, unless it was created in double quotes, and grant \
         the role USAGE on it"
    } else if status == StatusCode::FORBIDDEN && is_create {
        "Horizon does not let this role make tables. The database or schema needs a default EXTERNAL_VOLUME (such as \
         'SNOWFLAKE_MANAGED') and CATALOG = 'SNOWFLAKE'; the role needs USAGE on the external volume and CREATE ICEBERG \
         TABLE on the schema"
    } else if status == StatusCode::FORBIDDEN && *method == Method::POST && path.ends_with("/namespaces") {
        "The role needs CREATE SCHEMA on the database, or make the schema yourself"
    } else if status == StatusCode::FORBIDDEN && *method == Method::POST {
        "Columns can be added by the table's owner only: the role needs OWNERSHIP of the table, and its owner USAGE on the \
         external volume"
    } else {
        return (status, None);
    };
    (status, Some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizon_is_known_by_its_address() {
        let is = |address: &str| is_horizon(&Url::parse(address).unwrap());
        assert!(is("https://org-account.snowflakecomputing.com/polaris/api/catalog"));
        assert!(is("https://privatelink.example/polaris/api/catalog"));
        assert!(!is("https://catalog.example/api/catalog"));
    }

    #[test]
    fn an_answer_that_is_not_known_stays_as_it_is() {
        let address = Url::parse("https://h/v1/p/namespaces/n/tables/t").unwrap();
        let explained = explain(&Method::GET, &address, StatusCode::NOT_FOUND, "no such table");
        assert_eq!(explained, (StatusCode::NOT_FOUND, None));
    }
}
