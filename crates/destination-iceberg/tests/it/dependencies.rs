//! The connector's own build stays light: what only a destination needs is compiled for the destination alone.

use std::process::Command;

#[test]
fn the_connector_compiles_nothing_of_arrow_iceberg_or_sqlite() {
    let cargo = std::env::var("CARGO").unwrap();
    let tree = |package: &str| {
        let arguments =
            ["tree", "--offline", "--package", package, "--prefix", "none", "--edges", "normal,build"];
        let output = Command::new(&cargo).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let heavy = ["arrow", "parquet", "iceberg", "opendal", "rusqlite", "libsqlite3", "sqlx"];
    let found = |tree: &str| {
        let names = tree.lines().filter_map(|line| line.split(' ').next());
        names.filter(|name| heavy.iter().any(|start| name.starts_with(start))).count()
    };
    assert_eq!(found(&tree("source-asana")), 0);
    assert!(found(&tree("destination-iceberg")) > 5, "the check sees what it looks for");
}
